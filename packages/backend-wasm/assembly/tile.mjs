/**
 * Writes the micro-kernels: C[6 × NR] (+)= A[6 × K] · B[K × NR] with the 6·NR sums in registers.
 *
 *     tileRows       A[r, k] at a + r·ROW + k          six rows at a constant distance (patches or tiles of an image)
 *     tileColumns    A[r, k] at a + k·stride + r       six neighbours in each of K rows (the same, transposed)
 *
 * B is a panel of NR columns, B[k, n] at b + k·NR + n. NR is 8 or 16 floats: 12 or 24 registers of 128 bits. V8's
 * revectorization turns 24 of them into 12 of 256 bits.
 *
 * The form of the code determines its speed, since V8's register allocator spills easily. GFLOP/s of one core, by
 * `rate`, in Node 20 with NR 8 and in Node 24 with NR 16: one top-tested loop over k, not unrolled, with one pointer
 * for A: 66, 115. With sums that start as C: 66, 78. With C added after the loop before a single store: 44, 121. The
 * loads of a row of C must precede its stores, or V8 does not revectorize.
 */

/** Rows that a micro-kernel computes at once. */
const MR = 6;
/** Floats from row to row of packed rows: an odd number of cache lines, so that neighbours map to different sets. */
const ROW = 208;

const rows = [...Array(MR).keys()];
const lines = (items, line) => items.flatMap(line).join('\n');
const sum = (r, v) => `c${r}_${v}`;

/** The source of both micro-kernels for panels of NR columns. */
export function tiles(NR) {
  const vectors = [...Array(NR / 4).keys()];

  const storeRow = (r, value) => [
    ...vectors.map((v) => `    v128.store(c, ${value(r, v)}, ${16 * v});`),
    ...(r < MR - 1 ? ['    c += ldc;'] : []),
  ];

  const tile = (name, stride, step, rowOffset) => `
export function ${name}(k: i32, a: usize, ${stride}b: usize, c: usize, ldc: usize, accumulate: bool): void {
${lines(rows, (r) => vectors.map((v) => `  let ${sum(r, v)} = f32x4.splat(0);`))}
  const end = b + <usize>k * ${4 * NR};
  while (b < end) {
${lines(vectors, (v) => `    const b${v} = v128.load(b, ${16 * v});`)}
${lines(rows, (r) => [
  `    const a${r} = v128.load32_splat(a, ${4 * rowOffset(r)});`,
  ...vectors.map((v) => `    ${sum(r, v)} = madd(a${r}, b${v}, ${sum(r, v)});`),
])}
    a += ${step};
    b += ${4 * NR};
  }
  if (accumulate) {
${lines(rows, (r) => [
  ...vectors.map((v) => `    const o${r}_${v} = v128.load(c, ${16 * v});`),
  ...storeRow(r, (row, v) => `f32x4.add(o${row}_${v}, ${sum(row, v)})`),
])}
  } else {
${lines(rows, (r) => storeRow(r, sum))}
  }
}`;

  return `import { madd } from '../../assembly/madd';

export const MR: i32 = ${MR};
export const NR: i32 = ${NR};
export const ROW: i32 = ${ROW};
${tile('tileRows', '', 4, (r) => r * ROW)}
${tile('tileColumns', 'stride: usize, ', 'stride', (r) => r)}
`;
}
