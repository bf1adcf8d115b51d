/** Statistics over the seeds of a race. */
import { mean, sampleStandardDeviation } from 'simple-statistics';

/** A number for each seed, null if its run has none, with their mean and sample standard deviation. */
export interface Statistic {
  /** Seeds with a finite number; {@link mean} and {@link sd} are of these. */
  readonly n: number;
  /** Null if there is none. */
  readonly mean: number | null;
  /** Null below two numbers. */
  readonly sd: number | null;
  /** By seed. */
  readonly seeds: readonly (number | null)[];
}

/** Mean, standard deviation and all values. */
export function statistic(seeds: readonly (number | null)[]): Statistic {
  const numbers = seeds.filter((each) => each !== null && Number.isFinite(each)) as number[];
  return {
    n: numbers.length,
    mean: numbers.length > 0 ? mean(numbers) : null,
    sd: numbers.length > 1 ? sampleStandardDeviation(numbers) : null,
    seeds,
  };
}
