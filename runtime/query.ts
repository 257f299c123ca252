/** What a batch query that needs names and oids carries along to its worker: plain data behind CatalogLookup. */
export interface CatalogSnapshot {
  readonly relations: readonly { readonly oid: number; readonly schema: string; readonly name: string; readonly visible: boolean; readonly definition: string | null }[];
  readonly schemas: readonly { readonly oid: number; readonly name: string }[];
  readonly settings: Readonly<Record<string, string>>;
}
