/** The process that tries one backend. */
import { type BackendReport, tryBackend } from '../platform/backends.js';
import { serve } from '../platform/child-process.js';

await serve<string, BackendReport>(tryBackend);
