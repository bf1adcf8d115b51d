/** Whether this is Node, which has WebGPU from a package; everywhere else it is the platform's own. */
export const node = typeof process === 'object' && typeof process.versions?.node === 'string';
