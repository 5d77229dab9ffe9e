import { Command } from 'commander';

await new Command('twinbox')
  .description('Operates Twinbox through the administration API of its services.')
  .parseAsync();
