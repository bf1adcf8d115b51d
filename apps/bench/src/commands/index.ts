export { command as doctor } from './doctor.js';
export { command as list } from './list.js';
export { command as report } from './report.js';
export { command as run } from './run.js';
export { command as speed } from './speed.js';
