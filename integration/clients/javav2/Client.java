import java.net.URI;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.util.VersionInfo;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.services.sts.StsClient;
import software.amazon.awssdk.services.sts.StsClientBuilder;

/**
 * One long-lived process on version 2 of the AWS SDK for Java that calls STS every half second
 * with a client that is made once. Prints "ok -" or "refused CODE" for each call, and ends when
 * standard input does. The argument "version" makes it print the SDK's version instead.
 */
public final class Client {
  public static void main(String[] args) throws Exception {
    if (args.length > 0 && args[0].equals("version")) {
      System.out.println(VersionInfo.SDK_VERSION);
      return;
    }
    CountDownLatch ended = endOfInput();
    StsClientBuilder builder =
        StsClient.builder().httpClientBuilder(UrlConnectionHttpClient.builder());
    String endpoint = System.getenv("CLIENT_ENDPOINT");
    if (endpoint != null) {
      builder.endpointOverride(URI.create(endpoint));
    }
    StsClient sts = builder.build();
    do {
      try {
        sts.getCallerIdentity();
        System.out.println("ok -");
      } catch (AwsServiceException e) {
        System.out.println("refused " + e.awsErrorDetails().errorCode());
      } catch (Exception e) {
        System.out.println("refused " + e.getMessage());
      }
    } while (!ended.await(500, TimeUnit.MILLISECONDS));
    System.exit(0);
  }

  private static CountDownLatch endOfInput() {
    CountDownLatch ended = new CountDownLatch(1);
    Thread reader =
        new Thread(
            () -> {
              try {
                System.in.transferTo(java.io.OutputStream.nullOutputStream());
              } catch (java.io.IOException e) {
                // As good as its end.
              }
              ended.countDown();
            });
    reader.setDaemon(true);
    reader.start();
    return ended;
  }
}
