/** A page that races on the WebAssembly backend. */
import { race } from '../same-race.js';

Object.assign(globalThis, { race });
