/** The display of a race while it runs, on standard error: a bar per run on a terminal, plain lines elsewhere. */

import type { PlannedRun, Progress, RacePlan } from '@ghl/race';
import { phasesOf, plannedRuns, stepsOf } from '@ghl/race';
import cliProgress from 'cli-progress';
import type { RaceWatcher } from '../processes/race.js';
import { percent } from './table.js';

/** A watcher, and the end of its display. */
export interface RaceDisplay extends RaceWatcher {
  close(): void;
}

/** Bars if standard error is a terminal, otherwise lines. */
export function display(plan: RacePlan): RaceDisplay {
  return process.stderr.isTTY ? bars(plan) : lines(plan);
}

const nameOf = ({ recipe, seed }: PlannedRun) => `${recipe.name} ${seed}`;

const fields = (progress: Progress) => {
  const { phase, phases, epoch, epochs, loss, imagesPerSecond, secondsLeft, cached, evaluated, ended } = progress;
  return {
    epoch:
      (phases > 1 ? `phase ${phase + 1}/${phases} ` : '') +
      `epoch ${Math.min(epoch + (ended ? 0 : 1), epochs)}/${epochs}` +
      (cached ? ` frozen layers ${share(cached)}` : '') +
      (evaluated ? ` evaluating ${share(evaluated)}` : ''),
    loss: Number.isFinite(loss) ? loss.toFixed(3) : '–',
    speed: `${imagesPerSecond?.toFixed(0) ?? '–'} images/s`,
    left: duration(secondsLeft),
  };
};

const share = ({ images, of }: { readonly images: number; readonly of: number }) =>
  `${Math.floor((100 * images) / of)} %`;

function bars(plan: RacePlan): RaceDisplay {
  const runs = plannedRuns(plan);
  const stepsOfRun = ({ recipe }: PlannedRun) =>
    phasesOf(plan, recipe).reduce((sum, phase) => sum + stepsOf(plan, phase), 0);
  const steps = runs.reduce((sum, run) => sum + stepsOfRun(run), 0);
  const width = Math.max(...runs.map((run) => nameOf(run).length));
  const multi = new cliProgress.MultiBar({
    format: `{name} {bar} {epoch} · step {value}/{total} · loss {loss} · {speed} · {left} left`,
    stream: process.stderr,
    barsize: 20,
    barCompleteChar: '━',
    barIncompleteChar: '─',
    hideCursor: true,
    stopOnComplete: false,
    emptyOnZero: true,
    linewrap: false,
  });
  const race = multi.create(
    steps,
    0,
    { name: 'race'.padEnd(width), ended: 0, left: '–' },
    { format: `{name} {bar} {ended} of ${runs.length} runs · {left} left` },
  );
  const bars = new Map<string, cliProgress.SingleBar>();
  /** Steps done, by run, and when this process began to count. */
  const done = new Map<string, number>();
  let before = 0;
  let ended = 0;
  const startedAt = performance.now();
  const say = (run: PlannedRun, text: string) => multi.log(`${nameOf(run).padEnd(width)} ${text}\n`);
  const updateRace = () => {
    const all = [...done.values()].reduce((sum, each) => sum + each, 0);
    const pace = (performance.now() - startedAt) / 1000 / (all - before);
    race.update(all, { ended, left: duration((steps - all) * pace) });
  };
  return {
    skips(run) {
      done.set(nameOf(run), stepsOfRun(run));
      before += stepsOfRun(run);
      ended += 1;
      updateRace();
    },
    begins(run) {
      const name = nameOf(run).padEnd(width);
      bars.set(
        nameOf(run),
        multi.create(stepsOfRun(run), 0, { name, epoch: 'starts', loss: '–', speed: '–', left: '–' }),
      );
    },
    progress(run, progress) {
      if (!done.has(nameOf(run))) before += progress.firstStep;
      done.set(nameOf(run), progress.step);
      bars.get(nameOf(run))?.update(progress.step, fields(progress));
      if (progress.ended?.isLast && progress.ended.test) {
        say(run, `test accuracy ${percent(progress.ended.test.accuracy)} %`);
      }
      updateRace();
    },
    ends(run, failure) {
      const bar = bars.get(nameOf(run));
      if (bar !== undefined) multi.remove(bar);
      ended += 1;
      if (failure !== null) say(run, `${failure.code}: ${failure.message}`);
      updateRace();
    },
    close: () => multi.stop(),
  };
}

function lines(plan: RacePlan): RaceDisplay {
  const all = plannedRuns(plan).length;
  let begun = 0;
  const say = (run: PlannedRun, text: string) => process.stderr.write(`${nameOf(run)}: ${text}\n`);
  const lastLine = new Map<string, number>();
  return {
    skips(run) {
      begun += 1;
      say(run, 'is finished already');
    },
    begins(run) {
      begun += 1;
      say(run, `begins, run ${begun} of ${all}`);
      lastLine.set(nameOf(run), performance.now());
    },
    progress(run, progress) {
      const { epoch, loss, speed, left } = fields(progress);
      const { ended, step, steps } = progress;
      const recent = performance.now() - (lastLine.get(nameOf(run)) ?? 0) < 10_000;
      if (ended === undefined && recent) return;
      lastLine.set(nameOf(run), performance.now());
      const scores = ended?.test
        ? `, ${ended.validation ? `validation ${percent(ended.validation.accuracy)} %, ` : ''}test ${percent(ended.test.accuracy)} %`
        : '';
      say(run, `${epoch}, step ${step}/${steps}, loss ${loss}${scores}, ${speed}, ${left} left`);
    },
    ends(run, failure) {
      if (failure !== null) say(run, `${failure.code}: ${failure.message}\nhelp: ${failure.help}`);
    },
    close: () => {},
  };
}

/** A duration as text. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
