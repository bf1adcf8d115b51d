/** The exports for the host. A kernel returns 0, or the size of the arena that it needs to run. */
export * from '../dist/wasm/kernels';
export { argumentsAt, configure, isLost, lose, setArena, start, stop, work } from './threads';
export { product } from './product';
export { rate, rateBytes, rateFlops } from './rate';
