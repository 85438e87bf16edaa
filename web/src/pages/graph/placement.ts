import { groupBy } from '~/lib/groupBy';

/** Something that takes room in a layer: a node, or the place where a long edge passes. */
export interface Slot {
  key: string;
  height: number;
  /** The middle. */
  y: number;
}

/** Two slots of neighbouring layers that an edge joins. */
export interface Joint {
  left: Slot;
  right: Slot;
  /** Long edges want to be straight more than short ones do. */
  weight: number;
}

const SWEEPS = 14;

/**
 * Heights within layers whose order is given: every slot as near as can be to the middle of what it is joined to, none
 * over another. What a layer's slots want is met as well as their order allows, by least squares.
 */
export function place(layers: readonly (readonly Slot[])[], joints: readonly Joint[], gap: number) {
  const toLeft = groupBy(joints, (joint) => joint.right);
  const toRight = groupBy(joints, (joint) => joint.left);
  for (const layer of layers) stack(layer, gap);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const forward = sweep % 2 === 0;
    const settling = sweep >= SWEEPS - 4;
    for (const layer of forward ? layers : layers.toReversed()) {
      const wishes = layer.map((slot) => {
        const before = (toLeft.get(slot) ?? []).map((joint) => ({ y: joint.left.y, weight: joint.weight }));
        const after = (toRight.get(slot) ?? []).map((joint) => ({ y: joint.right.y, weight: joint.weight }));
        const pulls = settling ? [...before, ...after] : forward ? before : after;
        const weight = pulls.reduce((sum, pull) => sum + pull.weight, 0);
        if (weight === 0) return { y: slot.y, weight: 0.05 };
        return { y: pulls.reduce((sum, pull) => sum + pull.y * pull.weight, 0) / weight, weight };
      });
      settle(layer, wishes, gap);
    }
  }
}

function stack(layer: readonly Slot[], gap: number) {
  const whole = layer.reduce((sum, slot) => sum + slot.height + gap, -gap);
  let y = -whole / 2;
  for (const slot of layer) {
    slot.y = y + slot.height / 2;
    y += slot.height + gap;
  }
}

/** Pools neighbours that want to be where the other is, until none does. */
export function settle(layer: readonly Slot[], wishes: readonly { y: number; weight: number }[], gap: number) {
  const offsets: number[] = [];
  const pools: { sum: number; weight: number; count: number }[] = [];
  layer.forEach((slot, index) => {
    const before = layer[index - 1];
    offsets.push(before ? (offsets[index - 1] ?? 0) + (before.height + slot.height) / 2 + gap : 0);
    const wish = wishes[index] ?? { y: slot.y, weight: 1 };
    let pool = { sum: (wish.y - (offsets[index] ?? 0)) * wish.weight, weight: wish.weight, count: 1 };
    for (let last = pools.at(-1); last && last.sum / last.weight > pool.sum / pool.weight; last = pools.at(-1)) {
      pool = { sum: pool.sum + last.sum, weight: pool.weight + last.weight, count: pool.count + last.count };
      pools.pop();
    }
    pools.push(pool);
  });
  let index = 0;
  for (const pool of pools) {
    for (let n = 0; n < pool.count; n += 1, index += 1) {
      const slot = layer[index];
      if (slot) slot.y = pool.sum / pool.weight + (offsets[index] ?? 0);
    }
  }
}
