package peer;

/** What is asked for. */
public record Order(String account, long number) {
}
