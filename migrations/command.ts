/** Runs a command: what fails is one line that says what to do, and exit status 1. */
export function run(name: string, command: () => Promise<void>): void {
  command().catch((error: unknown) => {
    console.error(`${name}: ${reason(error)}`);
    process.exitCode = 1;
  });
}

export function required(variable: string, meaning: string): string {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set (${meaning})`);
  return value;
}

function reason(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reason(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}
