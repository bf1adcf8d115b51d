/**
 * Element-wise operations, each in one pass over memory: y = f(x), y = f(a, b) with broadcasting, selection by a mask,
 * and conversion to float32. A task is a block of elements.
 */
import { ceilDiv, copy, max, min } from './pack';
import { args, control, needed, parallel, reserve } from './threads';
import { BINARY, CONVERT, SELECT, UNARY } from '../dist/wasm/tasks';

/** Elements of a task. */
export const BLOCK: i32 = 16384;

/** One vector, or one element in the first lane if fewer than four elements remain. */
// @ts-ignore: decorator
@inline
export function read(width: i32, at: usize): v128 {
  return width == 4 ? v128.load(at) : v128.load32_zero(at);
}

// @ts-ignore: decorator
@inline
export function write(width: i32, at: usize, value: v128): void {
  if (width == 4) v128.store(at, value);
  else v128.store_lane<f32>(at, value, 0);
}

/** Sets all bits where x is NaN: a bitwise or gives NaN. `pmax` and `pmin` propagate NaN of the first operand only. */
// @ts-ignore: decorator
@inline
export function unordered(x: v128): v128 {
  return f32x4.ne(x, x);
}

// The host numbers the operators in this order.
const RELU: i32 = 0;
const RELU6: i32 = 1;
const ABS: i32 = 2;
const NEG: i32 = 3;
const SIGN: i32 = 4;
const SQUARE: i32 = 5;
const SQRT: i32 = 6;
const STEP: i32 = 7;

// @ts-ignore: decorator
@inline
function ofOne(operator: i32, x: v128): v128 {
  const zero = f32x4.splat(0);
  if (operator == RELU) return f32x4.pmax(x, zero);
  if (operator == RELU6) return f32x4.pmin(f32x4.pmax(x, zero), f32x4.splat(6));
  if (operator == ABS) return f32x4.abs(x);
  if (operator == NEG) return f32x4.neg(x);
  if (operator == SQUARE) return f32x4.mul(x, x);
  if (operator == SQRT) return f32x4.sqrt(x);
  // Comparisons return −1 or 0. A vector constant other than 0 would be rebuilt in each iteration of the loop.
  const above = f32x4.gt(x, zero);
  if (operator == STEP) return v128.or(f32x4.convert_i32x4_s(i32x4.neg(above)), unordered(x));
  return v128.or(f32x4.convert_i32x4_s(i32x4.sub(f32x4.lt(x, zero), above)), unordered(x));
}

@unmanaged
class Unary {
  operator: i32;
  size: i32;
  x: usize;
  y: usize;
}

export function unary(): u32 {
  parallel(UNARY, ceilDiv(args<Unary>().size, BLOCK));
  return 0;
}

// @ts-ignore: decorator
@inline
function map(operator: i32, x: usize, y: usize, n: i32): void {
  const vectorEnd = y + ((<usize>n >> 2) << 4);
  const end = y + (<usize>n << 2);
  while (y < vectorEnd) {
    write(4, y, ofOne(operator, read(4, x)));
    x += 16;
    y += 16;
  }
  while (y < end) {
    write(1, y, ofOne(operator, read(1, x)));
    x += 4;
    y += 4;
  }
}

export function unaryTask(task: i32): void {
  const p = args<Unary>();
  const at = <usize>(task * BLOCK) * 4;
  const x = p.x + at;
  const y = p.y + at;
  const n = min(BLOCK, p.size - task * BLOCK);
  switch (p.operator) {
    case RELU:
      return map(RELU, x, y, n);
    case RELU6:
      return map(RELU6, x, y, n);
    case ABS:
      return map(ABS, x, y, n);
    case NEG:
      return map(NEG, x, y, n);
    case SIGN:
      return map(SIGN, x, y, n);
    case SQUARE:
      return map(SQUARE, x, y, n);
    case SQRT:
      return map(SQRT, x, y, n);
    case STEP:
      return map(STEP, x, y, n);
  }
}

// The host numbers these too.
const ADD: i32 = 0;
const SUBTRACT: i32 = 1;
const MULTIPLY: i32 = 2;
const DIVIDE: i32 = 3;
const MAXIMUM: i32 = 4;
const MINIMUM: i32 = 5;
const SQUARED_DIFFERENCE: i32 = 6;
/** a · step(b): the gradient of ReLU from ∂y and from its input or output, which have the same sign. */
const RELU_GRADIENT: i32 = 7;

// @ts-ignore: decorator
@inline
function ofTwo(operator: i32, a: v128, b: v128): v128 {
  if (operator == ADD) return f32x4.add(a, b);
  if (operator == SUBTRACT) return f32x4.sub(a, b);
  if (operator == MULTIPLY) return f32x4.mul(a, b);
  if (operator == DIVIDE) return f32x4.div(a, b);
  if (operator == MAXIMUM) return v128.or(f32x4.pmax(a, b), unordered(b));
  if (operator == MINIMUM) return v128.or(f32x4.pmin(a, b), unordered(b));
  if (operator == RELU_GRADIENT) return f32x4.mul(a, ofOne(STEP, b));
  const difference = f32x4.sub(a, b);
  return f32x4.mul(difference, difference);
}

// The layout of an operand, for y [rows, columns]. At least one operand is complete.
const FULL: i32 = 0;
/** A value for each column. */
const COLUMNS: i32 = 1;
/** A value for each row. */
const ROWS: i32 = 2;

@unmanaged
class Binary {
  operator: i32;
  size: i32;
  columns: i32;
  layoutA: i32;
  layoutB: i32;
  a: usize;
  b: usize;
  y: usize;
}

/** The least columns of a row with a separate loop. */
const LONG: i32 = 256;

export function binary(): u32 {
  const p = args<Binary>();
  // Repeats a short row of values to a longer row; the number of rows decreases.
  if (p.columns < LONG && p.size > p.columns && (p.layoutA == COLUMNS || p.layoutB == COLUMNS)) {
    const times = LONG / p.columns;
    if (!reserve(LONG * 4, 0)) return needed();
    const once = p.layoutA == COLUMNS ? p.a : p.b;
    const repeated = control().arena;
    for (let i = 0; i < times; i++) copy(repeated + <usize>(i * p.columns) * 4, once, p.columns);
    if (p.layoutA == COLUMNS) p.a = repeated;
    else p.b = repeated;
    p.columns *= times;
  }
  const rows = ceilDiv(p.size, p.columns);
  parallel(BINARY, p.columns > BLOCK ? rows * ceilDiv(p.columns, BLOCK) : ceilDiv(rows, BLOCK / p.columns));
  return 0;
}

export function binaryTask(task: i32): void {
  const p = args<Binary>();
  const pieces = ceilDiv(p.columns, BLOCK);
  const share = max(1, BLOCK / p.columns);
  const start = (task % pieces) * BLOCK;
  const first = (task / pieces) * share;
  const end = min(ceilDiv(p.size, p.columns), first + share);
  for (let row = first; row < end; row++) {
    const at = row * p.columns + start;
    const n = min(min(BLOCK, p.columns - start), p.size - at);
    const a = p.a + <usize>(p.layoutA == FULL ? at : p.layoutA == ROWS ? row : start) * 4;
    const b = p.b + <usize>(p.layoutB == FULL ? at : p.layoutB == ROWS ? row : start) * 4;
    const y = p.y + <usize>at * 4;
    switch (p.operator) {
      case ADD:
        combine(ADD, a, p.layoutA, b, p.layoutB, y, n);
        break;
      case SUBTRACT:
        combine(SUBTRACT, a, p.layoutA, b, p.layoutB, y, n);
        break;
      case MULTIPLY:
        combine(MULTIPLY, a, p.layoutA, b, p.layoutB, y, n);
        break;
      case DIVIDE:
        combine(DIVIDE, a, p.layoutA, b, p.layoutB, y, n);
        break;
      case MAXIMUM:
        combine(MAXIMUM, a, p.layoutA, b, p.layoutB, y, n);
        break;
      case MINIMUM:
        combine(MINIMUM, a, p.layoutA, b, p.layoutB, y, n);
        break;
      case SQUARED_DIFFERENCE:
        combine(SQUARED_DIFFERENCE, a, p.layoutA, b, p.layoutB, y, n);
        break;
      case RELU_GRADIENT:
        zip(RELU_GRADIENT, false, a, false, b, y, n);
    }
  }
}

// @ts-ignore: decorator
@inline
function combine(operator: i32, a: usize, layoutA: i32, b: usize, layoutB: i32, y: usize, n: i32): void {
  if (layoutA == ROWS) zip(operator, true, a, false, b, y, n);
  else if (layoutB == ROWS) zip(operator, false, a, true, b, y, n);
  else zip(operator, false, a, false, b, y, n);
}

/** One row. A `fixed` operand has one value for the whole row. */
// @ts-ignore: decorator
@inline
function zip(operator: i32, fixedA: bool, a: usize, fixedB: bool, b: usize, y: usize, n: i32): void {
  const vectorEnd = y + ((<usize>n >> 2) << 4);
  const end = y + (<usize>n << 2);
  const oneA = v128.load32_splat(a);
  const oneB = v128.load32_splat(b);
  while (y < vectorEnd) {
    write(4, y, ofTwo(operator, fixedA ? oneA : read(4, a), fixedB ? oneB : read(4, b)));
    if (!fixedA) a += 16;
    if (!fixedB) b += 16;
    y += 16;
  }
  while (y < end) {
    write(1, y, ofTwo(operator, fixedA ? oneA : read(1, a), fixedB ? oneB : read(1, b)));
    if (!fixedA) a += 4;
    if (!fixedB) b += 4;
    y += 4;
  }
}

@unmanaged
class Selection {
  size: i32;
  /** A byte for each element. */
  condition: usize;
  then: usize;
  otherwise: usize;
  y: usize;
}

/** y = condition ? then : otherwise. */
export function select(): u32 {
  parallel(SELECT, ceilDiv(args<Selection>().size, BLOCK));
  return 0;
}

/** Four bytes as 32-bit integers. */
// @ts-ignore: decorator
@inline
function bytes(at: usize): v128 {
  return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(at)));
}

// @ts-ignore: decorator
@inline
function byte(at: usize): v128 {
  return i32x4.splat(load<u8>(at));
}

export function selectTask(task: i32): void {
  const p = args<Selection>();
  const first = task * BLOCK;
  const n = min(BLOCK, p.size - first);
  const at = <usize>first * 4;
  let condition = p.condition + first;
  let then = p.then + at;
  let otherwise = p.otherwise + at;
  let y = p.y + at;
  const zero = i32x4.splat(0);
  const vectorEnd = y + ((<usize>n >> 2) << 4);
  const end = y + (<usize>n << 2);
  while (y < vectorEnd) {
    write(4, y, v128.bitselect(read(4, otherwise), read(4, then), i32x4.eq(bytes(condition), zero)));
    condition += 4;
    then += 16;
    otherwise += 16;
    y += 16;
  }
  while (y < end) {
    write(1, y, v128.bitselect(read(1, otherwise), read(1, then), i32x4.eq(byte(condition), zero)));
    condition += 1;
    then += 4;
    otherwise += 4;
    y += 4;
  }
}

@unmanaged
class Conversion {
  size: i32;
  /** Bytes of an element of x: 1 (bool) or 4 (int32). */
  bytes: i32;
  x: usize;
  y: usize;
}

/** float32 from bool or int32. */
export function convert(): u32 {
  parallel(CONVERT, ceilDiv(args<Conversion>().size, BLOCK));
  return 0;
}

export function convertTask(task: i32): void {
  const p = args<Conversion>();
  const first = task * BLOCK;
  const n = min(BLOCK, p.size - first);
  const y = p.y + <usize>first * 4;
  if (p.bytes == 1) convertFrom(1, p.x + first, y, n);
  else convertFrom(4, p.x + <usize>first * 4, y, n);
}

// @ts-ignore: decorator
@inline
function convertFrom(size: usize, x: usize, y: usize, n: i32): void {
  const vectorEnd = y + ((<usize>n >> 2) << 4);
  const end = y + (<usize>n << 2);
  while (y < vectorEnd) {
    write(4, y, f32x4.convert_i32x4_s(size == 1 ? bytes(x) : read(4, x)));
    x += 4 * size;
    y += 16;
  }
  while (y < end) {
    write(1, y, f32x4.convert_i32x4_s(size == 1 ? byte(x) : read(1, x)));
    x += size;
    y += 4;
  }
}
