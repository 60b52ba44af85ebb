/** How well a robot followed an instruction: VLN-CE's measures over one episode and their means. Source: NaVILA `measures.py`, habitat-lab. */

export type Point = readonly number[];

/** One episode as it went: positions after the start and after every step, metres. */
export interface NavigationEpisode {
  readonly referencePath: readonly Point[];
  readonly positions: readonly Point[];
  /** Low-level actions; 0 is stop. */
  readonly actions: readonly (number | null)[];
  /** Geodesic distance to the goal after the start and after every step; the first is the length of the shortest path. */
  readonly distanceToGoal: readonly number[];
}

export interface NavigationMetrics {
  readonly navigationError: number;
  readonly oracleError: number;
  readonly success: number;
  readonly oracleSuccess: number;
  readonly spl: number;
  readonly pathLength: number;
  readonly steps: number;
  readonly ndtw: number;
  readonly sdtw: number;
}

/** Metres from the goal within which an episode succeeds. */
export const SUCCESS_RADIUS = 3;

/** DIFFERS: nDTW uses exact dynamic time warping where the original takes FastDTW's approximation. */
export function navigationMetrics(episode: NavigationEpisode): NavigationMetrics {
  const { positions, actions, distanceToGoal } = episode;
  const navigationError = distanceToGoal[distanceToGoal.length - 1];
  const oracleError = Math.min(...distanceToGoal);
  const success = actions[actions.length - 1] === 0 && navigationError < SUCCESS_RADIUS ? 1 : 0;
  const pathLength = positions.slice(1).reduce((sum, point, i) => sum + distance(positions[i], point), 0);
  const shortest = distanceToGoal[0];
  const ndtw = normalisedTimeWarping(positions, episode.referencePath);
  return {
    navigationError,
    oracleError,
    success,
    oracleSuccess: oracleError < SUCCESS_RADIUS ? 1 : 0,
    spl: success * (shortest / Math.max(shortest, pathLength)),
    pathLength,
    steps: actions.length,
    ndtw,
    sdtw: success * ndtw,
  };
}

/** exp(−DTW / (points of the reference · radius)); a path's repeated positions count once. */
export function normalisedTimeWarping(path: readonly Point[], reference: readonly Point[]): number {
  const moved = path.filter((point, i) => i === 0 || point.some((value, axis) => value !== path[i - 1][axis]));
  return Math.exp(-timeWarping(moved, reference) / (reference.length * SUCCESS_RADIUS));
}

/** Dynamic time warping: the least sum of distances over monotone pairings of all points. */
export function timeWarping(a: readonly Point[], b: readonly Point[]): number {
  let previous = [0, ...b.map(() => Number.POSITIVE_INFINITY)];
  for (const point of a) {
    const row = [Number.POSITIVE_INFINITY];
    for (const [j, other] of b.entries()) {
      row.push(distance(point, other) + Math.min(previous[j], previous[j + 1], row[j]));
    }
    previous = row;
  }
  return previous[b.length];
}

/** Means over episodes; figures that are not finite are left out, and counted. */
export function meanNavigationMetrics(episodes: readonly NavigationMetrics[]): {
  readonly means: NavigationMetrics;
  readonly invalid: NavigationMetrics;
} {
  const keys = Object.keys(episodes[0]) as (keyof NavigationMetrics)[];
  const finite = (key: keyof NavigationMetrics): number[] => episodes.map((e) => e[key]).filter(Number.isFinite);
  const over = (value: (key: keyof NavigationMetrics) => number): NavigationMetrics =>
    Object.fromEntries(keys.map((key) => [key, value(key)])) as unknown as NavigationMetrics;
  return {
    means: over((key) => finite(key).reduce((a, b) => a + b, 0) / finite(key).length),
    invalid: over((key) => episodes.length - finite(key).length),
  };
}

function distance(a: Point, b: Point): number {
  return Math.hypot(...a.map((value, i) => value - b[i]));
}
