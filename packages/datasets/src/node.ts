/** The datasets that come as files, read from a folder or downloaded: CIFAR, MNIST, Fashion-MNIST. Node only. */
export { cifar10, cifar100 } from './cifar.js';
export { type DatasetLoader, dataset, datasets } from './datasets.js';
export type { DownloadProgress, FileOptions } from './files.js';
export { fashionMnist, mnist } from './mnist.js';
