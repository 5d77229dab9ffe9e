import { Argument, type Command } from 'commander';
import { type Cli } from './cli.js';

const SHELLS = ['bash', 'zsh'] as const;
type Shell = (typeof SHELLS)[number];

export function addCompletion(program: Command, cli: Cli): void {
  program
    .command('completion')
    .description('print a script that completes commands and options')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText('after', '\nAdd to ~/.bashrc or ~/.zshrc:\n  source <(twinbox completion bash)')
    .action((shell: Shell) => cli.print(completionScript(program, shell)));
}

/** A command, and what may follow its words. */
interface Place {
  /** The words of the command, each with a space before it, such as ` dead-letters retry`. */
  readonly path: string;
  readonly words: readonly string[];
  /** The options that take a value, with its values; none if they are not known. */
  readonly values: readonly (readonly [option: string, values: readonly string[]])[];
}

/**
 * Returns a script that completes the commands of the program, their options, and the values that are known. The script contains all of
 * them, so it starts no process, and evaluates nothing that was typed.
 */
function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program, '', optionsOf(program));
  const commands = places.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`);
  const values = places.flatMap(({ path, values }) =>
    values.map(([option, words]) => `    '${path} ${option}') offered='${words.join(' ')}' ;;`),
  );
  const words = places.map(({ path, words }) => `        '${path}') offered='${words.join(' ')}' ;;`);
  return `# Completes twinbox in ${shell}. Load it with: source <(twinbox completion ${shell})
${shell === 'zsh' ? 'autoload -Uz compinit bashcompinit\n(( $+functions[compdef] )) || compinit\nbashcompinit\n' : ''}_twinbox() {
  local typed='' offered='' n
  for ((n = 1; n < COMP_CWORD; n++)); do
    case "$typed \${COMP_WORDS[n]}" in
      ${commands.join(' | \\\n      ')}) typed="$typed \${COMP_WORDS[n]}" ;;
    esac
  done
  case "$typed \${COMP_WORDS[COMP_CWORD-1]}" in
${values.join('\n')}
    *)
      case "$typed" in
${words.join('\n')}
      esac ;;
  esac
  COMPREPLY=($(compgen -W "$offered" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _twinbox twinbox
`;
}

const optionsOf = ({ options }: Command) => options.filter(({ hidden }) => !hidden);

function placesOf(command: Command, path: string, common: Command['options']): Place[] {
  const { commands, registeredArguments } = command;
  const options = commands.length > 0 ? [] : [...new Set([...optionsOf(command), ...common])];
  const names = options.map(({ long }) => long ?? '');
  const place: Place = {
    path,
    words: [
      ...commands.map((child) => child.name()),
      ...registeredArguments.flatMap(({ argChoices = [] }) => argChoices),
      ...names,
    ],
    values: options
      .filter(({ required, optional }) => required || optional)
      .map(({ long, argChoices = [] }) => [long ?? '', argChoices] as const),
  };
  return [place, ...commands.flatMap((child) => placesOf(child, `${path} ${child.name()}`, common))];
}
