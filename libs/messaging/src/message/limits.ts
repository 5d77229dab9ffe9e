/**
 * The maximum size of event data in bytes of JSON. A batch of Kafka records must stay below the broker's `max.message.bytes`
 * (1 MiB by default). A larger event is rejected here, where its writer still gets the error.
 */
export const MAX_PAYLOAD_BYTES = 512 * 1024;
