/** The catalogue as binding looks things up: by name, all overloads. */
import { allAggregates, allFunctions, allSetFunctions } from '../../types/functions/registry.js';

export { functionById, functionsByName as functionsNamed, setFunctionsByName as setFunctionsNamed, aggregatesByName as aggregatesNamed, windowFunctionsByName as windowFunctionsNamed } from '../../types/functions/registry.js';

/** For HINTs: names that a user could have meant. */
export function allFunctionNames(): Set<string> {
  const names = new Set<string>();
  for (const f of [...allFunctions(), ...allSetFunctions(), ...allAggregates()]) if (/^[a-z]/.test(f.name)) names.add(f.name);
  return names;
}
