/** The process that tries one backend, since native code that does not fit a machine may end it. */
import { answerParent } from './ask-child.js';
import { type BackendReport, tryBackend } from './backends.js';

await answerParent<string, BackendReport>(tryBackend);
