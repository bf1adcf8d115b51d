/** The definitions of convolutions and pools of volumes, for tests: sizes, padding and the terms of sums. */

type Triple = [number, number, number];

/** A volume and the windows over it. */
export interface Volume {
  readonly batch: number;
  readonly size: Triple;
  readonly channels: number;
  readonly window: Triple;
  readonly strides: Triple;
  readonly dilations: Triple;
  readonly pad: 'same' | 'valid' | number;
}

/** A volume and the filters over it. */
export interface Convolution extends Volume {
  readonly filters: number;
}

/** Along each axis, the number of windows, and the padding before the volume. */
function axes({ size, window, strides, dilations, pad }: Volume): { out: Triple; before: Triple } {
  const each = size.map((length, axis) => {
    const span = (window[axis]! - 1) * dilations[axis]! + 1;
    if (pad === 'same') {
      const out = Math.ceil(length / strides[axis]!);
      // Below 0 if strides exceed windows: TensorFlow.js then centres the windows.
      return { out, before: Math.floor(((out - 1) * strides[axis]! + span - length) / 2) };
    }
    const before = pad === 'valid' ? 0 : pad;
    const room = length + 2 * before - span;
    return { out: room < 0 ? 0 : Math.floor(room / strides[axis]!) + 1, before };
  });
  return { out: each.map(({ out }) => out) as Triple, before: each.map(({ before }) => before) as Triple };
}

/** Depth, height and width of the result. */
export function outShape(volume: Volume): Triple {
  return axes(volume).out;
}

/**
 * Calls `visit` with the position of the first channel of each result, and those of x and W in its sum.
 */
function forEachPlace(volume: Volume, visit: (y: number, x: number, tap: number) => void): void {
  const { batch, size, window, strides, dilations } = volume;
  const { out, before } = axes(volume);
  const indices = (lengths: readonly number[]) =>
    lengths.reduce<number[][]>(
      (all, length) => all.flatMap((index) => Array.from({ length }, (_, i) => [...index, i])),
      [[]],
    );
  const taps = indices(window);
  for (const [y, [image, ...place]] of indices([batch, ...out]).entries()) {
    for (const [tap, offset] of taps.entries()) {
      const at = place.map((p, axis) => p * strides[axis]! + offset[axis]! * dilations[axis]! - before[axis]!);
      if (at.some((i, axis) => i < 0 || i >= size[axis]!)) continue;
      visit(
        y,
        at.reduce((sum, i, axis) => sum * size[axis]! + i, image!),
        tap,
      );
    }
  }
}

/** Calls `visit` with the offsets of the first channels of y, x and W, for each term of the sum. */
export function forEachTap(volume: Convolution, visit: (y: number, x: number, w: number) => void): void {
  const { channels, filters } = volume;
  forEachPlace(volume, (y, x, tap) => visit(y * filters, x * channels, tap * channels * filters));
}

/** Calls `visit` with the offset of every y and those of the values of x in its window, in order. */
export function forEachWindow(volume: Volume, visit: (y: number, window: number[]) => void): void {
  const { batch, channels } = volume;
  const windows = Array.from({ length: batch * outShape(volume).reduce((n, d) => n * d, 1) }, (): number[] => []);
  forEachPlace(volume, (y, x) => windows[y]!.push(x));
  for (const [y, window] of windows.entries()) {
    for (let c = 0; c < channels; c++)
      visit(
        y * channels + c,
        window.map((x) => x * channels + c),
      );
  }
}
