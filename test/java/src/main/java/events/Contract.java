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
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The AsyncAPI document: which messages a channel has, and what their headers, keys and values must be. */
final class Contract {
  static final ObjectMapper JSON = new ObjectMapper();
  private static final String DATASCHEMA = "ce_dataschema";
  private static final Pattern VERSION = Pattern.compile("(?<event>urn:event:.+):(?<version>\\d{1,9})");
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

    /**
     * Returns the message as which to read one with these headers: the newest version of its event that the document has and that is not
     * newer than the message. Returns null if there is none, or if the headers violate its schema.
     */
    Message messageWith(ObjectNode headers) {
      Matcher schema = VERSION.matcher(headers.path(DATASCHEMA).asText());
      if (!schema.matches()) return null;
      int version = Integer.parseInt(schema.group("version"));
      return messages.stream()
          .filter(message -> message.event.equals(schema.group("event")) && message.version <= version)
          .max(Comparator.comparingInt(message -> message.version))
          .filter(message -> message.headers.validate(message.ofItsVersion(headers)).isEmpty())
          .orElse(null);
    }
  }

  /** A message of the document: an event in one of its versions. */
  final class Message {
    final String name;
    final JsonNode headerSchemas;
    private final String event;
    private final int version;
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
      Matcher schema = VERSION.matcher(headerSchemas.path(DATASCHEMA).path("const").asText());
      if (!schema.matches()) throw new IllegalArgumentException(name + " has no version");
      event = schema.group("event");
      version = Integer.parseInt(schema.group("version"));
      headers = SCHEMAS.getSchema(headersSchema);
      key = SCHEMAS.getSchema(keySchema);
      keyField = keySchema.path("x-field").asText();
      example = payloadSchema.at("/examples/0");
      payload = SCHEMAS.getSchema(payloadSchema);
    }

    /** Returns the headers of a message as this version would have them. A newer version only adds to it. */
    private ObjectNode ofItsVersion(ObjectNode headers) {
      return headers.deepCopy().put(DATASCHEMA, event + ":" + version);
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
