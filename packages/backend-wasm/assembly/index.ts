/** What the host calls. Kernels return 0, or the bytes of arena that they need before they can run. */
export * from '../dist/wasm/kernels';
export { argumentsAt, configure, isLost, lose, setArena, start, stop, work } from './threads';
export { product } from './product';
export { rate, rateBytes, rateFlops } from './rate';
