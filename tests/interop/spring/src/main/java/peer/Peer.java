package peer;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;

import org.springframework.context.annotation.AnnotationConfigApplicationContext;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Spring Kafka on the other side: {@code peer.Peer ARGUMENTS}, which are JSON with {@code brokers} and {@code prefix}.
 *
 * <p>With {@code "serve": true} it has listeners, and prints each event and dead letter that they get. Without, it asks
 * with templates: see {@link Calls}.
 */
public final class Peer {

    private static final JsonMapper JSON = JsonMapper.shared();

    private Peer() {
    }

    public static void main(String[] arguments) throws Exception {
        JsonNode options = JSON.readTree(arguments[0]);
        String brokers = options.get("brokers").asString();
        String prefix = options.get("prefix").asString();
        if (options.path("serve").asBoolean(false)) {
            System.setProperty("brokers", brokers);
            System.setProperty("prefix", prefix);
            try (var listeners = new AnnotationConfigApplicationContext(Listeners.class)) {
                print(Map.of("ready", true));
                System.in.transferTo(OutputStream.nullOutputStream());
            }
            return;
        }
        try (var calls = new Calls(brokers, prefix)) {
            print(Map.of("ready", true));
            var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line; (line = lines.readLine()) != null;) {
                print(calls.answer(JSON.readValue(line, Question.class)));
            }
        }
    }

    static synchronized void print(Map<String, ?> line) {
        System.out.println(JSON.writeValueAsString(line));
    }
}
