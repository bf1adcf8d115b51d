/** Whether this is Node, whose files, threads and flags differ from a browser's. */
export const node = typeof process === 'object' && typeof process.versions?.node === 'string';
