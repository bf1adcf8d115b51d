/** Loads a dataset in the format of MNIST. */
import { type FileOptions, loadFiles } from './files.js';
import type { ImageSet } from './image-set.js';
import type { FileSource } from './published.js';
import { parseIdx, type Records } from './records.js';

/** @param source Its files are training images and labels, then test images and labels. */
export function loadIdx(source: FileSource, classes: readonly string[], options: FileOptions): Promise<ImageSet> {
  return loadFiles(source, options, (files) => {
    const records = (at: number): Records => {
      const [images, labels] = [files[at]!, files[at + 1]!];
      return parseIdx(images.bytes, labels.bytes, { images: images.path, labels: labels.path });
    };
    return { classes, shape: [28, 28, 1], train: [records(0)], test: [records(2)] };
  });
}
