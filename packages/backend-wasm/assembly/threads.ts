/**
 * Threads that share the work of one kernel. Every thread runs an instance of this module on the same memory; the main
 * one sets a job (a phase of a kernel, so many tasks), all take tasks by raising one counter, and the main one goes on
 * when none is pending. What a task computes does not depend on who takes it, so results do not depend on the threads.
 *
 * A thread that slept through a job, or died before it, takes no task of it and holds up nobody.
 */
import { perform } from '../dist/wasm/tasks';

/** What threads share, at an address that the host chose. All fields are 32 bits wide but the ticket. */
@unmanaged
export class Control {
  /** Number of the job in its upper half, the next task to take in its lower. */
  ticket: i64;
  /** Number of the job, on which workers wait. */
  job: i32;
  /** Tasks of the job not yet done, on which the main thread waits. */
  pending: i32;
  /** Tasks of the job. */
  count: i32;
  /** Which phase of which kernel. */
  phase: i32;
  /** Threads, the main one included. */
  threads: i32;
  /** Whether workers should end. */
  stop: i32;
  /** Whether the main thread may sleep; a browser's may not. */
  mayWait: i32;
  /** Whether a worker took a task and never brought it back. */
  lost: i32;
  /** Memory for intermediate results, and its size in bytes. */
  arena: usize;
  arenaSize: u32;
  /** Of the arena: bytes shared by all threads, then for each thread. */
  sharedSize: u32;
  privateSize: u32;
}

/** Where the arguments of the current kernel stand, after the fields. */
export const ARGUMENTS: usize = 128;

const SPINS: i32 = 4000;
const SPINS_A_SECOND: i32 = 500_000_000;
const SECOND: i64 = 1_000_000_000;
/** Seconds without a task brought back after which a thread is taken for lost. */
const PATIENCE: i32 = 10;

let block: usize = 0;

// @ts-ignore: decorator
@inline
export function control(): Control {
  return changetype<Control>(block);
}

/** The current kernel's arguments. */
// @ts-ignore: decorator
@inline
export function args<T>(): T {
  return changetype<T>(block + ARGUMENTS);
}

/** Tells this instance where the shared control block is. */
export function start(address: usize): void {
  block = address;
}

/**
 * Divides the arena. Returns whether it is large enough; `needed()` then tells how many bytes it takes.
 */
export function reserve(shared: usize, each: usize): bool {
  const c = control();
  c.sharedSize = <u32>((shared + 63) & ~63);
  c.privateSize = <u32>(((each + 63) & ~63) + 192); // not a multiple of the page, so that threads' caches differ
  return needed() <= c.arenaSize;
}

/** Bytes of arena that the last `reserve` asked for. */
export function needed(): usize {
  const c = control();
  return c.sharedSize + c.privateSize * c.threads;
}

/** A thread's own part of the arena. */
export function scratch(thread: i32): usize {
  const c = control();
  return c.arena + c.sharedSize + <usize>thread * c.privateSize;
}

/** Runs tasks 0 … count − 1 of a phase on all threads. */
export function parallel(phase: i32, count: i32): void {
  const c = control();
  if (c.threads == 1 || count == 1) {
    for (let i = 0; i < count; i++) perform(phase, i, 0);
    return;
  }
  const job = c.job + 1;
  // Nothing to take while the job is being set: a worker that still looks at the last one would take of it by the new
  // count.
  atomic.store<i64>(block + offsetof<Control>('ticket'), ((<i64>job) << 32) | i32.MAX_VALUE);
  c.phase = phase;
  c.count = count;
  atomic.store<i32>(block + offsetof<Control>('pending'), count);
  atomic.store<i64>(block + offsetof<Control>('ticket'), (<i64>job) << 32);
  atomic.store<i32>(block + offsetof<Control>('job'), job);
  atomic.notify(block + offsetof<Control>('job'), c.threads);
  takeTasks(job, 0);
  awaitTasks();
}

/** Returns when no task is pending, or a thread is lost: it said so, or nothing came back for some ten seconds. */
function awaitTasks(): void {
  const pending = block + offsetof<Control>('pending');
  const lost = block + offsetof<Control>('lost');
  for (let spins = 0; spins < SPINS; spins++) if (atomic.load<i32>(pending) == 0) return;
  // In parts of a second, so that a process that was stopped for longer finds its threads at work again.
  for (let idle = 0; idle < PATIENCE; ) {
    const left = atomic.load<i32>(pending);
    if (left == 0 || atomic.load<i32>(lost)) return;
    if (control().mayWait) atomic.wait<i32>(pending, left, SECOND);
    else for (let spins = 0; spins < SPINS_A_SECOND && atomic.load<i32>(pending) == left; spins++) {}
    idle = atomic.load<i32>(pending) == left ? idle + 1 : 0;
  }
  lose();
}

/** Says that a thread will not bring back its task, which the main thread may be waiting for. */
export function lose(): void {
  atomic.store<i32>(block + offsetof<Control>('lost'), 1);
  atomic.notify(block + offsetof<Control>('pending'), 1);
}

/** What a worker does from its start to its end. */
export function work(thread: i32): void {
  const c = control();
  const address = block + offsetof<Control>('job');
  let seen = 0;
  while (true) {
    for (let spins = 0; spins < SPINS && atomic.load<i32>(address) == seen; spins++) {}
    while (atomic.load<i32>(address) == seen) atomic.wait<i32>(address, seen, -1);
    seen = atomic.load<i32>(address);
    if (c.stop) return;
    takeTasks(seen, thread);
  }
}

/** Lets workers end. */
export function stop(): void {
  const c = control();
  c.stop = 1;
  atomic.add<i32>(block + offsetof<Control>('job'), 1);
  atomic.notify(block + offsetof<Control>('job'), c.threads);
}

function takeTasks(job: i32, thread: i32): void {
  const c = control();
  const address = block + offsetof<Control>('ticket');
  while (true) {
    const ticket = atomic.load<i64>(address);
    const next = <i32>ticket;
    if (<i32>(ticket >> 32) != job || next >= c.count) return;
    // Succeeds only while the job is still this one, whose count and arguments then stand until the task is done.
    if (atomic.cmpxchg<i64>(address, ticket, ticket + 1) != ticket) continue;
    perform(c.phase, next, thread);
    if (atomic.sub<i32>(block + offsetof<Control>('pending'), 1) == 1) {
      atomic.notify(block + offsetof<Control>('pending'), 1);
    }
  }
}

/** Says how many threads there are and whether the main one may sleep. */
export function configure(threads: i32, mayWait: i32): void {
  const c = control();
  c.threads = threads;
  c.mayWait = mayWait;
}

/** Hands over memory for intermediate results. */
export function setArena(address: usize, size: u32): void {
  const c = control();
  c.arena = address;
  c.arenaSize = size;
}

/** Where the host writes the arguments of a convolution. */
export function argumentsAt(): usize {
  return block + ARGUMENTS;
}

/** Whether a thread did not bring back a task. */
export function isLost(): bool {
  return atomic.load<i32>(block + offsetof<Control>('lost')) != 0;
}
