/** How a race is shown while it runs: a bar a run on a terminal, plain lines elsewhere. All of it on standard error. */
import cliProgress from 'cli-progress';
import type { RaceWatcher } from './race.js';
import type { PlannedRun, RacePlan } from './race-plan.js';
import { plannedRuns, stepsPerEpoch } from './race-plan.js';
import { percent } from './table.js';
import type { Progress } from './training/trainer.js';

/** A watcher, and the end of its display. */
export interface RaceDisplay extends RaceWatcher {
  close(): void;
}

/** Bars if standard error is a terminal, else lines. */
export function display(plan: RacePlan): RaceDisplay {
  return process.stderr.isTTY ? bars(plan) : lines(plan);
}

const nameOf = ({ recipe, seed }: PlannedRun) => `${recipe.name} ${seed}`;

const fields = ({ epoch, epochs, loss, imagesPerSecond, secondsLeft, ended }: Progress) => ({
  epoch: `epoch ${Math.min(epoch + (ended ? 0 : 1), epochs)}/${epochs}`,
  loss: Number.isFinite(loss) ? loss.toFixed(3) : '–',
  speed: `${imagesPerSecond.toFixed(0)} images/s`,
  left: duration(secondsLeft),
});

function bars(plan: RacePlan): RaceDisplay {
  const width = Math.max(...plannedRuns(plan).map((run) => nameOf(run).length));
  const multi = new cliProgress.MultiBar(
    {
      format: `{name} {bar} {epoch} · step {value}/{total} · loss {loss} · {speed} · {left} left`,
      stream: process.stderr,
      barsize: 20,
      barCompleteChar: '━',
      barIncompleteChar: '─',
      hideCursor: true,
      stopOnComplete: false,
      emptyOnZero: true,
      forceRedraw: true,
      linewrap: false,
    },
    cliProgress.Presets.shades_classic,
  );
  const total = plan.epochs * stepsPerEpoch(plan);
  const shown = new Map<string, cliProgress.SingleBar>();
  const all = plannedRuns(plan).length;
  let finished = 0;
  const say = (text: string) => multi.log(`${text}\n`);
  return {
    begins(run) {
      const name = nameOf(run).padEnd(width);
      shown.set(nameOf(run), multi.create(total, 0, { name, epoch: 'starts', loss: '–', speed: '–', left: '–' }));
    },
    progress(run, progress) {
      shown.get(nameOf(run))?.update(progress.step, fields(progress));
      if (progress.ended && progress.epoch === progress.epochs) {
        say(`${nameOf(run).padEnd(width)} test accuracy ${percent(progress.ended.test.accuracy)} %`);
      }
    },
    ends(run, failure) {
      const bar = shown.get(nameOf(run));
      if (bar !== undefined) multi.remove(bar);
      finished += 1;
      if (failure !== null) say(`${nameOf(run).padEnd(width)} ${failure.code}: ${failure.message}`);
      if (finished === all) multi.update();
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
      const scores = ended
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

/** Seconds as people say them. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
