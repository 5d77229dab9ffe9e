package events;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** The AsyncAPI document: which messages a channel has, and what their headers, keys and values must be. */
final class Contract {
  static final ObjectMapper JSON = new ObjectMapper();
  private static final SchemaRegistry SCHEMAS = SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12);

  private final JsonNode document;

  private Contract(JsonNode document) {
    this.document = document;
  }

  static Contract read(String path) throws IOException {
    return new Contract(JSON.readTree(new File(path)));
  }

  /** Returns the channel with this address. */
  Channel channel(String address) {
    for (JsonNode channel : document.path("channels"))
      if (channel.path("address").asText().equals(address)) return new Channel(channel);
    throw new IllegalArgumentException("The document has no channel with the address " + address);
  }

  final class Channel {
    final int partitions;
    private final List<Message> messages = new ArrayList<>();

    private Channel(JsonNode channel) {
      partitions = channel.at("/bindings/kafka/partitions").asInt();
      channel.path("messages").fields().forEachRemaining(
          entry -> messages.add(new Message(entry.getKey(), resolved(entry.getValue()))));
    }

    Message message(String name) {
      return messages.stream().filter(message -> message.name.equals(name)).findFirst()
          .orElseThrow(() -> new IllegalArgumentException("The channel has no message " + name));
    }

    /** Returns the message with these headers, or null if the document has none. */
    Message messageWith(ObjectNode headers) {
      return messages.stream().filter(message -> message.headers.validate(headers).isEmpty()).findFirst().orElse(null);
    }
  }

  /** A message of the document: an event in one of its versions. */
  final class Message {
    final String name;
    final JsonNode headerSchemas;
    private final Schema headers;
    private final Schema key;
    private final String keyField;
    private final JsonNode example;
    private final Schema payload;

    private Message(String name, JsonNode message) {
      this.name = name;
      JsonNode headersSchema = message.path("headers");
      JsonNode keySchema = message.at("/bindings/kafka/key");
      JsonNode payloadSchema = resolved(message.path("payload"));
      headerSchemas = headersSchema.path("properties");
      headers = SCHEMAS.getSchema(headersSchema);
      key = SCHEMAS.getSchema(keySchema);
      keyField = keySchema.path("x-field").asText();
      example = payloadSchema.at("/examples/0");
      payload = SCHEMAS.getSchema(payloadSchema);
    }

    /** Returns the example of the document, with some other fields. */
    ObjectNode data(JsonNode fields) {
      return example.<ObjectNode>deepCopy().setAll((ObjectNode) fields);
    }

    String keyOf(JsonNode data) {
      return data.path(keyField).asText();
    }

    /** Returns what is wrong with a key and its data. */
    List<String> problems(String key, JsonNode data) {
      List<String> problems = new ArrayList<>();
      this.key.validate(new TextNode(key)).forEach(error -> problems.add("key: " + error));
      payload.validate(data, context -> context.executionConfig(config -> config.formatAssertionsEnabled(true)))
          .forEach(error -> problems.add("value: " + error));
      if (!key.equalsIgnoreCase(keyOf(data))) problems.add("key: it differs from " + keyField);
      return problems;
    }
  }

  private JsonNode resolved(JsonNode node) {
    return node.has("$ref") ? document.at(node.path("$ref").asText().substring(1)) : node;
  }
}
