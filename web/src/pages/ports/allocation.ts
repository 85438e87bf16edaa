import type { PortProtocol } from '~/gql/enums';
import type { AllocateInput } from '~/gql/graphql';

/** What the dialog asks for, as it is written there. */
export interface Wish {
  protocol: PortProtocol;
  bothTransports: boolean;
  number: string;
  /** This number or none. */
  insist: boolean;
  host: string;
  purpose: string;
  key: string;
  ttlSeconds: string;
  count: string;
  contiguous: boolean;
}

export const NO_WISH: Wish = {
  protocol: 'TCP', bothTransports: false, number: '', insist: false, host: '', purpose: '', key: '', ttlSeconds: '', count: '1', contiguous: false,
};

/** Those that have numbers. */
export const PROTOCOLS: readonly PortProtocol[] = ['TCP', 'UDP', 'HTTP', 'WEBSOCKET', 'GRPC', 'ZMQ', 'JETSTREAM', 'REDIS'];

export function countOf(wish: Wish): number {
  return Math.min(100, Math.max(1, Number.parseInt(wish.count, 10) || 1));
}

/** One request for each port that is wanted. */
export function requestsOf(wish: Wish, requesterId: string): AllocateInput[] {
  const number = Number.parseInt(wish.number, 10) || null;
  const count = countOf(wish);
  return Array.from({ length: count }, (_, index) => ({
    requesterId,
    protocol: wish.protocol,
    program: 'dashboard',
    ...(wish.bothTransports ? { bothTransports: true } : {}),
    ...(number !== null && index === 0 ? { preferredPort: number } : {}),
    ...(number !== null && wish.insist ? { from: number, to: number + count - 1 } : {}),
    ...(wish.host ? { host: wish.host } : {}),
    ...(wish.purpose ? { purpose: wish.purpose } : {}),
    // Each lease has a key of its own, as the command names them.
    ...(wish.key ? { key: count === 1 ? wish.key : `${wish.key}:${index + 1}` } : {}),
    ...(wish.ttlSeconds ? { ttlSeconds: Number(wish.ttlSeconds) } : {}),
  }));
}
