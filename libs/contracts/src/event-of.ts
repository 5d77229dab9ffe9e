/** Any event of a topic, by the names and classes in its `events`. Every event listed there is published. */
export type EventOf<Topic extends { readonly events: Readonly<Record<string, abstract new () => object>> }> = {
  [Type in keyof Topic['events'] & string]: {
    readonly type: Type;
    readonly data: InstanceType<Topic['events'][Type]>;
  };
}[keyof Topic['events'] & string];
