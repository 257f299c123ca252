// Loaded into each test file's process: its results go to the runner over a pipe that --test-force-exit does not wait for, so that the last of
// them can be lost without an error (nodejs/node#64833). Writes that block are whole.
if (process.env.NODE_TEST_CONTEXT !== undefined) process.stdout._handle?.setBlocking?.(true);
