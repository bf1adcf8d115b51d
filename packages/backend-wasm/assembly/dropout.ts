/**
 * Dropout in one pass, which also draws the mask: Threefry-2x32 of 13 rounds, a counter-based generator, four counters
 * in a vector. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. Units 8q … 8q + 7 use the first
 * words of counters 4q … 4q + 3, then their second words.
 */
import { BLOCK, read, write } from './elementwise';
import { ceilDiv, min } from './pack';
import { args, parallel } from './threads';
import { DROP } from '../dist/wasm/tasks';

@unmanaged
class Dropout {
  size: i32;
  key0: i32;
  key1: i32;
  /** A unit is kept unless its upper 31 bits are below the threshold. */
  threshold: i32;
  scale: f32;
  x: usize;
  y: usize;
}

export function dropout(): u32 {
  parallel(DROP, ceilDiv(args<Dropout>().size, BLOCK));
  return 0;
}

// @ts-ignore: decorator
@inline
function turned(x: v128, by: i32): v128 {
  return v128.or(i32x4.shl(x, by), i32x4.shr_u(x, 32 - by));
}

export function dropTask(task: i32): void {
  const p = args<Dropout>();
  const first = task * BLOCK;
  let x = p.x + <usize>first * 4;
  let y = p.y + <usize>first * 4;
  const k0 = i32x4.splat(p.key0);
  const k1 = i32x4.splat(p.key1);
  const k2 = i32x4.splat(0x1bd11bda ^ p.key0 ^ p.key1);
  const k2And1 = i32x4.add(k2, i32x4.splat(1));
  const k0And2 = i32x4.add(k0, i32x4.splat(2));
  const k1And3 = i32x4.add(k1, i32x4.splat(3));
  const threshold = i32x4.splat(p.threshold);
  const scale = f32x4.splat(p.scale);
  const four = i32x4.splat(4);
  let counter = i32x4.add(i32x4.splat(first / 2), i32x4(0, 1, 2, 3));
  for (let left = min(BLOCK, p.size - first); left > 0; left -= 8) {
    let a = i32x4.add(counter, k0);
    let b = k1;
    a = i32x4.add(a, b);
    b = v128.xor(turned(b, 13), a);
    a = i32x4.add(a, b);
    b = v128.xor(turned(b, 15), a);
    a = i32x4.add(a, b);
    b = v128.xor(turned(b, 26), a);
    a = i32x4.add(a, b);
    b = v128.xor(turned(b, 6), a);
    a = i32x4.add(a, k1);
    b = i32x4.add(b, k2And1);
    a = i32x4.add(a, b);
    b = v128.xor(turned(b, 17), a);
    a = i32x4.add(a, b);
    b = v128.xor(turned(b, 29), a);
    a = i32x4.add(a, b);
    b = v128.xor(turned(b, 16), a);
    a = i32x4.add(a, b);
    b = v128.xor(turned(b, 24), a);
    a = i32x4.add(a, k2);
    b = i32x4.add(b, k0And2);
    a = i32x4.add(a, b);
    b = v128.xor(turned(b, 13), a);
    a = i32x4.add(a, b);
    b = v128.xor(turned(b, 15), a);
    a = i32x4.add(a, b);
    b = v128.xor(turned(b, 26), a);
    a = i32x4.add(a, b);
    b = v128.xor(turned(b, 6), a);
    a = i32x4.add(a, k0);
    b = i32x4.add(b, k1And3);
    a = i32x4.add(a, b);
    b = v128.xor(turned(b, 17), a);
    a = v128.and(i32x4.ge_s(i32x4.shr_u(a, 1), threshold), scale);
    b = v128.and(i32x4.ge_s(i32x4.shr_u(b, 1), threshold), scale);
    if (left >= 8) {
      write(4, y, f32x4.mul(read(4, x), a));
      write(4, y + 16, f32x4.mul(read(4, x + 16), b));
    } else {
      for (let i = 0; i < left; i++) {
        write(1, y + i * 4, f32x4.mul(read(1, x + i * 4), a));
        if (i == 3) a = b;
        else a = i8x16.shuffle(a, a, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3);
      }
    }
    x += 32;
    y += 32;
    counter = i32x4.add(counter, four);
  }
}
