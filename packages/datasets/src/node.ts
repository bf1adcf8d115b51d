/** All datasets by name, also those that are read from files or downloaded: CIFAR, MNIST, Fashion-MNIST. Node only. */
export type { Dataset, DatasetOptions } from './dataset.js';
export { dataset } from './datasets.js';
export type { DownloadProgress, FileOptions } from './files.js';
export * from './sets/index.js';
