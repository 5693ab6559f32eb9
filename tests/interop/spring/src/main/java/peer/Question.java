package peer;

/** What a test wants to be asked: of which template, and with which key and value. */
public record Question(long id, String template, String topic, String key, Object value) {
}
