import com.amazonaws.AmazonServiceException;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.securitytoken.AWSSecurityTokenService;
import com.amazonaws.services.securitytoken.AWSSecurityTokenServiceClientBuilder;
import com.amazonaws.services.securitytoken.model.GetCallerIdentityRequest;
import com.amazonaws.util.VersionInfoUtils;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * One long-lived process on version 1 of the AWS SDK for Java that calls STS every half second
 * with a client that is made once. Prints "ok -" or "refused CODE" for each call, and ends when
 * standard input does. The argument "version" makes it print the SDK's version instead.
 */
public final class Client {
  public static void main(String[] args) throws Exception {
    if (args.length > 0 && args[0].equals("version")) {
      System.out.println(VersionInfoUtils.getVersion());
      return;
    }
    CountDownLatch ended = endOfInput();
    AWSSecurityTokenServiceClientBuilder builder = AWSSecurityTokenServiceClientBuilder.standard();
    String endpoint = System.getenv("CLIENT_ENDPOINT");
    if (endpoint != null) {
      builder.withEndpointConfiguration(
          new EndpointConfiguration(endpoint, System.getenv("AWS_REGION")));
    }
    AWSSecurityTokenService sts = builder.build();
    do {
      try {
        sts.getCallerIdentity(new GetCallerIdentityRequest());
        System.out.println("ok -");
      } catch (AmazonServiceException e) {
        System.out.println("refused " + e.getErrorCode());
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
