/** The commands of this package. Written by `npm run collect` from the files of this folder: do not edit. */
import type { Command } from '../options/command.js';
import { command as doctor } from './doctor.js';
import { command as inspect } from './inspect.js';
import { command as list } from './list.js';
import { command as products } from './products.js';
import { command as report } from './report.js';
import { command as run } from './run.js';
import { command as speed } from './speed.js';

/** The commands by name. */
export const commands: Readonly<
  Record<'doctor' | 'inspect' | 'list' | 'products' | 'report' | 'run' | 'speed', Command>
> = {
  doctor: doctor,
  inspect: inspect,
  list: list,
  products: products,
  report: report,
  run: run,
  speed: speed,
};
