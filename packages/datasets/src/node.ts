/**
 * All datasets by name, also those that are read from files or downloaded: CIFAR, MNIST and others in its format. Node
 * only.
 */
export type { Dataset, DatasetOptions } from './dataset.js';
export { dataset } from './datasets.js';
export type { DownloadProgress, FileOptions } from './files.js';
export type { EmnistSplit } from './published.js';
export * from './sets/index.js';
