/** Connector contracts that both sides of the thread border and the planner need: plain data only. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
