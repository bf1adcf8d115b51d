/**
 * Threads that share the work of one kernel. Every thread runs an instance of this module on the same memory. The main
 * thread starts a job: a phase of a kernel with a number of tasks. All threads take tasks by incrementing one counter,
 * and the main thread continues when none is pending. A task computes the same on every thread, so that results do not
 * depend on the number of threads.
 *
 * A thread that sleeps during a job, or died before it, takes no task of it and delays no other thread.
 */
import { perform } from '../dist/wasm/tasks';

/** The state that threads share, at an address that the host chooses. All fields except the ticket have 32 bits. */
@unmanaged
export class Control {
  /** The number of the job in the upper half, the next task in the lower half. */
  ticket: i64;
  /** The number of the job, on which workers wait. */
  job: i32;
  /** The number of unfinished tasks, on which the main thread waits. */
  pending: i32;
  /** The number of tasks of the job. */
  count: i32;
  /** The phase of a kernel. */
  phase: i32;
  /** The number of threads, including the main thread. */
  threads: i32;
  /** Whether workers should end. */
  stop: i32;
  /** Whether the main thread may sleep. That of a page may not. */
  mayWait: i32;
  /** Whether a worker took a task and did not finish it. */
  lost: i32;
  /** The memory for intermediate results, and its size in bytes. */
  arena: usize;
  arenaSize: u32;
  /** The bytes of the arena that all threads share, then those of each thread. */
  sharedSize: u32;
  privateSize: u32;
}

/** The offset of the arguments of the current kernel, after the fields. */
export const ARGUMENTS: usize = 128;

const SPINS: i32 = 4000;
const SPINS_A_SECOND: i32 = 500_000_000;
const SECOND: i64 = 1_000_000_000;
/** The number of seconds without a finished task after which a thread counts as lost. */
const PATIENCE: i32 = 10;

let block: usize = 0;

// @ts-ignore: decorator
@inline
export function control(): Control {
  return changetype<Control>(block);
}

/** The arguments of the current kernel. */
// @ts-ignore: decorator
@inline
export function args<T>(): T {
  return changetype<T>(block + ARGUMENTS);
}

/** Sets the address of the shared control block for this instance. */
export function start(address: usize): void {
  block = address;
}

/**
 * Divides the arena. Returns whether it is large enough; `needed()` returns the required size.
 */
export function reserve(shared: usize, each: usize): bool {
  const c = control();
  c.sharedSize = <u32>((shared + 63) & ~63);
  c.privateSize = <u32>(((each + 63) & ~63) + 192); // not a multiple of the page size, so that cache sets differ
  return needed() <= c.arenaSize;
}

/** The size of the arena that the last `reserve` requires. */
export function needed(): usize {
  const c = control();
  return c.sharedSize + c.privateSize * c.threads;
}

/** The part of the arena of one thread. */
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
  // No task is available while the job is being set. Otherwise, a worker that still reads the last job could take one
  // of its tasks by the new count.
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

/** Returns when no task is pending, or when a thread is lost: it failed, or no task finished for about ten seconds. */
function awaitTasks(): void {
  const pending = block + offsetof<Control>('pending');
  const lost = block + offsetof<Control>('lost');
  for (let spins = 0; spins < SPINS; spins++) if (atomic.load<i32>(pending) == 0) return;
  // In steps of a second, so that the threads of a process that was suspended can continue.
  for (let idle = 0; idle < PATIENCE; ) {
    const left = atomic.load<i32>(pending);
    if (left == 0 || atomic.load<i32>(lost)) return;
    if (control().mayWait) atomic.wait<i32>(pending, left, SECOND);
    else for (let spins = 0; spins < SPINS_A_SECOND && atomic.load<i32>(pending) == left; spins++) {}
    idle = atomic.load<i32>(pending) == left ? idle + 1 : 0;
  }
  lose();
}

/** Reports that a thread will not finish its task, for which the main thread may be waiting. */
export function lose(): void {
  atomic.store<i32>(block + offsetof<Control>('lost'), 1);
  atomic.notify(block + offsetof<Control>('pending'), 1);
}

/** The loop of a worker. */
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

/** Ends the workers. */
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
    // Succeeds only during this job. Its count and arguments then remain valid until the task is done.
    if (atomic.cmpxchg<i64>(address, ticket, ticket + 1) != ticket) continue;
    perform(c.phase, next, thread);
    if (atomic.sub<i32>(block + offsetof<Control>('pending'), 1) == 1) {
      atomic.notify(block + offsetof<Control>('pending'), 1);
    }
  }
}

/** Sets the number of threads, and whether the main thread may sleep. */
export function configure(threads: i32, mayWait: i32): void {
  const c = control();
  c.threads = threads;
  c.mayWait = mayWait;
}

/** Sets the memory for intermediate results. */
export function setArena(address: usize, size: u32): void {
  const c = control();
  c.arena = address;
  c.arenaSize = size;
}

/** The address to which the host writes the arguments of a kernel. */
export function argumentsAt(): usize {
  return block + ARGUMENTS;
}

/** Whether a thread did not finish a task. */
export function isLost(): bool {
  return atomic.load<i32>(block + offsetof<Control>('lost')) != 0;
}
