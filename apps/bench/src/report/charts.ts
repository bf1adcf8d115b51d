/** The charts of the report, as SVG text. A recipe's marks have its class, so that the page can hide them. */

import type { RecordedRun, RunEvent } from '@ghl/race';
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';

/** A recipe with its colour. */
export interface Series {
  readonly name: string;
  readonly className: string;
  readonly colour: string;
}

/** One point of a line. */
interface Point {
  readonly x: number;
  readonly y: number;
  readonly seed: number;
}

const { document } = parseHTML('<!doctype html><html><body></body></html>');
const FONT = { fontSize: '12px', fontFamily: 'inherit', background: 'none' } as const;

/** The form of a chart. */
interface LineChart {
  readonly x: string;
  readonly y: string;
  readonly percent?: boolean;
  readonly domain?: readonly [number, number];
  readonly width?: number;
  readonly height?: number;
  /** Drawn across: a value to reach, or zero. */
  readonly rule?: number;
}

/** Test accuracy at the end: a dot for each seed, a bar for the mean. */
export function accuracyChart(series: readonly Series[], runs: readonly RecordedRun[]): string {
  const dots = runs.flatMap(({ recipe, seed, result }) =>
    result === null ? [] : [{ recipe, seed, accuracy: 100 * result.testAccuracy }],
  );
  if (dots.length === 0) return '';
  return svg({
    width: 640,
    height: Math.max(360, 44 * series.length + 60),
    marginLeft: 16 + 7 * Math.max(...series.map(({ name }) => name.length)),
    marginRight: 24,
    marginBottom: 40,
    x: {
      label: 'test accuracy after the last epoch, %',
      domain: [0, ceiling(dots.map(({ accuracy }) => accuracy))],
      grid: true,
      ticks: 5,
    },
    y: { domain: series.map(({ name }) => name), label: null, tickSize: 0, padding: 0.5 },
    marks: series.flatMap(({ name, className, colour }) => {
      const own = dots.filter(({ recipe }) => recipe === name);
      return [
        Plot.barX(own, {
          ...Plot.groupY({ x: 'mean' }, { x: 'accuracy', y: 'recipe' }),
          fill: colour,
          fillOpacity: 0.25,
          rx: 3,
          className,
        }),
        Plot.tickX(own, {
          ...Plot.groupY({ x: 'mean' }, { x: 'accuracy', y: 'recipe' }),
          stroke: colour,
          strokeWidth: 3,
          className,
        }),
        Plot.dot(own, {
          x: 'accuracy',
          y: 'recipe',
          fill: colour,
          stroke: 'var(--page)',
          r: 5,
          title: ({ seed, accuracy }: (typeof own)[number]) => `${name}, seed ${seed}: ${accuracy.toFixed(2)} %`,
          className,
        }),
      ];
    }),
  });
}

/**
 * Validation accuracy after each epoch, over epochs or seconds of training; test accuracy if no images are held out.
 */
export function accuracyCurves(
  series: readonly Series[],
  runs: readonly RecordedRun[],
  over: 'epochs' | 'seconds',
  target: number,
): string {
  const heldOut = runs.some(({ events }) =>
    events.some((event) => event.type === 'epoch' && event.validation !== null),
  );
  return lines(
    series,
    runs,
    ({ events }) =>
      events.flatMap((event) => {
        const score = scoreOf(event);
        if (event.type !== 'epoch' || score === null) return [];
        return [{ x: over === 'epochs' ? event.epoch : event.trainMs / 1000, y: 100 * score.accuracy }];
      }),
    {
      x: over === 'epochs' ? 'epochs' : 'seconds of training',
      y: `${heldOut ? 'validation' : 'test'} accuracy, %`,
      domain: [0, ceiling([100 * target, ...accuracies(runs)])],
      rule: 100 * target,
    },
    over === 'epochs',
  );
}

/** Training loss over steps. */
export function lossCurves(series: readonly Series[], runs: readonly RecordedRun[]): string {
  return lines(
    series,
    runs,
    ({ events }) =>
      thin(
        events.flatMap((event) =>
          event.type === 'steps' && event.loss !== undefined ? [{ x: event.step, y: event.loss }] : [],
        ),
      ),
    { x: 'steps', y: 'training loss, cross-entropy' },
    true,
  );
}

/** The cosine of the increment with −∂L/∂W over steps, in one layer. */
export function alignmentCurves(series: readonly Series[], runs: readonly RecordedRun[], layer: string): string {
  return lines(
    series,
    runs,
    ({ events }) =>
      thin(
        events.flatMap((event) => {
          const measurement = event.type === 'alignment' ? event.layers[layer] : undefined;
          return measurement === undefined ? [] : [{ x: event.step, y: measurement.alignment }];
        }),
      ),
    { x: 'steps', y: 'alignment', domain: [-1, 1], rule: 0, width: 400, height: 240 },
    true,
  );
}

/** The distribution of weight norms over the units of a layer, a line for each recipe. */
export function normChart(distributions: readonly { readonly series: Series; readonly values: readonly number[] }[]) {
  const finite = distributions.map(({ series, values }) => ({ series, values: values.filter(Number.isFinite) }));
  const greatest = Math.max(...finite.flatMap(({ values }) => values), 0) || 1;
  return svg({
    width: 400,
    height: 200,
    marginLeft: 48,
    marginBottom: 40,
    x: { label: '‖w‖', domain: [0, greatest], ticks: 4 },
    y: { label: 'units, %', grid: true, ticks: 4, percent: true },
    marks: finite.map(({ series: { className, colour }, values }) =>
      Plot.rectY(values, {
        ...Plot.binX({ y: 'proportion' }, { x: (value: number) => value, thresholds: bins(greatest) }),
        fill: colour,
        fillOpacity: 0.35,
        stroke: colour,
        insetLeft: 0,
        insetRight: 0,
        className,
      }),
    ),
  });
}

/** The limits of 24 intervals of equal width. */
const bins = (greatest: number) => Array.from({ length: 25 }, (_, i) => (i * greatest) / 24);

/** A thin line for each seed, and a thick one for their mean if the seeds share their x. */
function lines(
  series: readonly Series[],
  runs: readonly RecordedRun[],
  read: (run: RecordedRun) => { readonly x: number; readonly y: number }[],
  { x, y, domain, width = 640, height = 360, rule }: LineChart,
  shared: boolean,
): string {
  const last = Math.max(2, ...runs.flatMap((run) => read(run).map((point) => point.x)).filter(Number.isFinite));
  const marks = series.flatMap(({ name, className, colour }) => {
    const points: Point[] = runs
      .filter(({ recipe }) => recipe === name)
      .flatMap((run) => read(run).map((point) => ({ ...point, seed: run.seed })));
    const seeds = new Set(points.map(({ seed }) => seed)).size;
    const thick = seeds === 1 || !shared;
    return [
      Plot.line(points, {
        x: 'x',
        y: 'y',
        z: 'seed',
        stroke: colour,
        strokeWidth: thick ? 2 : 1,
        strokeOpacity: thick ? 0.9 : 0.4,
        className,
      }),
      ...(shared ? [] : [Plot.dot(points, { x: 'x', y: 'y', fill: colour, r: 2.5, className })]),
      ...(thick
        ? []
        : [
            Plot.line(points, {
              ...Plot.groupX({ y: 'mean' }, { x: 'x', y: 'y' }),
              stroke: colour,
              strokeWidth: 2.5,
              className,
            }),
          ]),
    ];
  });
  return svg({
    width,
    height,
    marginLeft: 48,
    marginBottom: 40,
    x: {
      label: x,
      domain: [x === 'epochs' ? 1 : 0, last],
      ticks: x === 'epochs' ? epochTicks(last) : width < 500 ? 4 : 8,
      tickFormat: 'd',
    },
    y: { label: y, grid: true, ...(domain ? { domain: [...domain] } : { nice: true }) },
    marks: [
      ...(rule === undefined ? [] : [Plot.ruleY([rule], { strokeDasharray: '3,4', strokeOpacity: 0.5 })]),
      ...marks,
    ],
  });
}

const accuracies = (runs: readonly RecordedRun[]) =>
  runs.flatMap(({ events }) =>
    events.flatMap((event) => {
      const score = scoreOf(event);
      return score === null ? [] : [100 * score.accuracy];
    }),
  );

/** The score of an epoch by which runs are compared; null for another event, and in a phase that reads no labels. */
const scoreOf = (event: RunEvent) => (event.type === 'epoch' ? (event.validation ?? event.test) : null);

/** A round percentage above all finite values. */
const ceiling = (percents: readonly number[]) =>
  Math.min(100, 10 * Math.ceil((Math.max(0, ...percents.filter(Number.isFinite)) + 2) / 10));

/** At most eight epochs, evenly apart. */
function epochTicks(last: number): number[] {
  const every = Math.ceil(last / 8);
  return Array.from({ length: Math.floor(last / every) }, (_, i) => every * (i + 1));
}

function svg(options: Plot.PlotOptions): string {
  const figure = Plot.plot({ ...options, document: document as unknown as Document, style: FONT });
  return figure.outerHTML;
}

/** At most a few hundred points: a chart cannot show more. */
function thin<T>(points: readonly T[], most = 300): T[] {
  const every = Math.ceil(points.length / most);
  return points.filter((_, i) => i % every === 0 || i === points.length - 1);
}
