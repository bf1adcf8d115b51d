/** The codes of the errors that only this package throws. */
import type { ConfigurationError, GhlError, StateError, UnsupportedError } from '@ghl/core';

declare module '@ghl/core' {
  interface ErrorCodes {
    /**
     * The process in which `bench doctor` tried a backend ended early.
     *
     * @remarks Reinstall the native part of that backend, or use another backend.
     */
    readonly BACKEND_DIED: GhlError;
    /**
     * The bench could not write a file, because the disk or quota is full.
     *
     * @remarks Free disk space and resume: `bench run --resume DIR`. The last checkpoint is intact.
     */
    readonly DISK_FULL: StateError;
    /**
     * A signal such as Ctrl-C stopped a command of the bench.
     *
     * @remarks Resume with the command that the message names.
     */
    readonly INTERRUPTED: GhlError;
    /**
     * Another process took the lock of a race folder while this one worked in it: it was suspended, or the lock was
     * deleted.
     *
     * @remarks Make sure that no other process works there, then resume with `--resume`.
     */
    readonly LOCK_LOST: StateError;
    /**
     * The process that measures memory ended early.
     *
     * @remarks Memory often ran out: use a smaller `--batch`.
     */
    readonly MEMORY_PROCESS_DIED: GhlError;
    /**
     * The bench may not write to a folder.
     *
     * @remarks Use a folder that you may write to, and resume: `bench run --resume DIR`.
     */
    readonly NOT_WRITABLE: StateError;
    /**
     * `bench inspect` found no finished run of that recipe and seed.
     *
     * @remarks Resume the race with `--resume`, or pass another `--recipe` or `--seed`.
     */
    readonly NO_FINISHED_RUN: ConfigurationError;
    /**
     * `--data` was passed with a data set that is generated.
     *
     * @remarks Omit `--data`, or name a data set that comes as files.
     */
    readonly NO_FOLDER: ConfigurationError;
    /**
     * `--against pytorch` did not find Python.
     *
     * @remarks Put Python 3.9 or later on the `PATH` as `python3`.
     */
    readonly NO_PYTHON: UnsupportedError;
    /**
     * A folder does not hold a race.
     *
     * @remarks Pass the folder that `bench run` named when it started.
     */
    readonly NO_RACE: ConfigurationError;
    /**
     * The bench got an option of a rule without a rule.
     *
     * @remarks Name the rule too: `--rule swta`.
     */
    readonly NO_RULE: ConfigurationError;
    /**
     * `--against pytorch` did not find PyTorch.
     *
     * @remarks Install PyTorch for the `python3` that comes first on the `PATH`.
     */
    readonly NO_TORCH: UnsupportedError;
    /**
     * The PyTorch reference does not know a layer of the network.
     *
     * @remarks Compare another network, or omit `--against`.
     */
    readonly NO_TWIN: UnsupportedError;
    /**
     * The output folder already holds a race.
     *
     * @remarks Resume it with `--resume`, or name another folder with `--out`.
     */
    readonly RACE_EXISTS: StateError;
    /**
     * The code, options or data differ from those that the race started with.
     *
     * @remarks Restore them, or start another race in another folder.
     */
    readonly RESUME_MISMATCH: StateError;
    /**
     * The process of a run ended early. Other runs continue.
     *
     * @remarks Memory often ran out: use `--processes 1` or a smaller `--batch`, and resume with `--resume`.
     */
    readonly RUN_DIED: GhlError;
    /**
     * The process that measures the speed of a backend ended early.
     *
     * @remarks Memory often ran out: use a smaller `--batch`.
     */
    readonly SPEED_PROCESS_DIED: GhlError;
    /**
     * The bench got more threads than the backend runs on.
     *
     * @remarks Omit `--threads`, or use the number that the message names.
     */
    readonly TOO_MANY_THREADS: ConfigurationError;
    /**
     * The PyTorch reference failed.
     *
     * @remarks Memory often ran out: use a smaller `--batch`, or omit `--against`.
     */
    readonly TWIN_FAILED: GhlError;
    /**
     * Another process, on this machine or another, works in the same race folder.
     *
     * @remarks Wait for it, or stop it. The lock of a killed process is free at once on the same machine, after two
     * minutes on another.
     */
    readonly UNDER_WAY: StateError;
    /**
     * The name of a backend is unknown.
     *
     * @remarks Use one of the names that the message lists.
     */
    readonly UNKNOWN_BACKEND: ConfigurationError;
    /**
     * `--against` names an unknown opponent.
     *
     * @remarks Use one of the names that the message lists.
     */
    readonly UNKNOWN_OPPONENT: ConfigurationError;
    /**
     * The name of a recipe is unknown.
     *
     * @remarks Use one of the names that the message lists.
     */
    readonly UNKNOWN_RECIPE: ConfigurationError;
  }
}
