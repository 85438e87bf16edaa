/** Runs in the page: counts frames, the gaps between them, and tasks of more than 50 ms, until `window.seen` is called. */
export function watchFrames() {
  const began = performance.now();
  let last = began;
  let frames = 0;
  let gap = 0;
  const tasks = [];
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ entryTypes: ['longtask'] });
  const frame = (now) => {
    frames += 1;
    gap = Math.max(gap, now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  window.seen = () => ({
    framesPerSecond: Math.round(frames / ((performance.now() - began) / 1000)),
    gapMs: Math.round(gap),
    longTasks: tasks.length,
    longTaskMs: Math.round(tasks.reduce((sum, duration) => sum + duration, 0)),
    longestTaskMs: Math.round(Math.max(0, ...tasks)),
  });
}

export function frameWords(seen) {
  return `${seen.framesPerSecond} frames a second, longest gap ${seen.gapMs} ms, ${seen.longTasks} long tasks of ${seen.longTaskMs} ms together, longest ${seen.longestTaskMs} ms`;
}
