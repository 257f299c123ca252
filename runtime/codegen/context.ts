/** What a compiled expression may ask about its surroundings; defined on the floor because functions use it. */
export type { EvalContext, CatalogLookup } from '../../types/functions/evalcontext.js';
