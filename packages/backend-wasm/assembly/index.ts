/** What the host calls. Kernels return 0, or the bytes of arena that they need before they can run. */
export { batchNorm, batchNormGradient } from './batch-norm';
export { convolutionFilterGradient, convolve } from './convolution';
export { dropout } from './dropout';
export { binary, convert, select, unary } from './elementwise';
export { move } from './move';
export { argumentsAt, configure, isLost, lose, setArena, start, stop, work } from './pool';
export { averagePool, averagePoolGradient, maxPool, maxPoolGradient } from './pooling';
export { product } from './product';
export { rate, rateBytes, rateFlops } from './rate';
export { allFinite, maximumOfAll, sumAll, sumColumns, sumRows } from './reductions';
export { compete, softmax } from './softmax';
export { winograd, winogradFilterGradient, winogradInputGradient } from './winograd';
