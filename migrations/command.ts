/** Runs a command. If it fails, prints one line with the reason and sets the exit status to 1. */
export function run(name: string, command: () => Promise<void>): void {
  command().catch((error: unknown) => {
    console.error(`${name}: ${reason(error)}`);
    process.exitCode = 1;
  });
}

/** Returns the value of an environment variable. Throws with the meaning of the variable if it is not set. */
export function required(variable: string, meaning: string): string {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set (${meaning})`);
  return value;
}

function reason(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reason(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}
