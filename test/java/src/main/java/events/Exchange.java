package events;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * Exchanges events with the services: {@code Exchange <asyncapi.json> <brokers> <topic>=<address> …}, with the address of each topic's
 * channel. Prints each message of the topics as a line of JSON. Sends a message for each line of its input, {@code
 * {"topic","message","fields"}}, and prints its id. Ends with its input.
 */
public final class Exchange {
  public static void main(String[] arguments) throws Exception {
    Contract contract = Contract.read(arguments[0]);
    String brokers = arguments[1];
    Map<String, Contract.Channel> channels = new HashMap<>();
    for (int n = 2; n < arguments.length; n++) {
      String[] topic = arguments[n].split("=");
      channels.put(topic[0], contract.channel(topic[1]));
    }
    Thread consumer = new Thread(new EventConsumer(brokers, channels, Exchange::print));
    consumer.setDaemon(true);
    consumer.setUncaughtExceptionHandler((thread, error) -> {
      error.printStackTrace();
      System.exit(1);
    });
    consumer.start();
    try (EventProducer producer = new EventProducer(brokers);
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      for (String line = input.readLine(); line != null; line = input.readLine()) {
        JsonNode command = Contract.JSON.readTree(line);
        String topic = command.path("topic").asText();
        Contract.Message message = channels.get(topic).message(command.path("message").asText());
        ObjectNode answer = Contract.JSON.createObjectNode();
        try {
          answer.put("sent", producer.send(topic, message, command.path("fields")));
        } catch (IllegalArgumentException error) {
          answer.put("refused", error.getMessage());
        }
        print(answer);
      }
    }
  }

  /** Prints whole lines, because the consumer prints in another thread. */
  private static synchronized void print(ObjectNode line) {
    System.out.println(line);
  }
}
