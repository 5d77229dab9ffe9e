/**
 * Any event of a topic, by the names and classes in its `events`. Every event listed there is published. `Published` has the data of an
 * event whose class has optional fields only because handlers also receive earlier versions.
 */
export type EventOf<
  Topic extends { readonly events: Readonly<Record<string, abstract new () => object>> },
  Published extends { readonly [Type in keyof Topic['events']]?: object } = object,
> = {
  [Type in keyof Topic['events'] & string]: {
    readonly type: Type;
    readonly data: Type extends keyof Published ? Published[Type] : InstanceType<Topic['events'][Type]>;
  };
}[keyof Topic['events'] & string];
