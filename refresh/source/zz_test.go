package source
import ("testing";"context";"time";"os"
"github.com/aws/aws-sdk-go-v2/config"
"github.com/aws/aws-sdk-go-v2/service/sts")
func BenchmarkLoad(b *testing.B){
 b.Setenv("HOME", b.TempDir()); b.Setenv("AWS_ACCESS_KEY_ID","AKIA"); b.Setenv("AWS_SECRET_ACCESS_KEY","x")
 b.Run("empty", func(b *testing.B){ b.ReportAllocs(); for b.Loop(){ if _,err:=config.LoadDefaultConfig(context.Background()); err!=nil{b.Fatal(err)} }})
 b.Run("ca", func(b *testing.B){ b.Setenv("AWS_CA_BUNDLE",""); b.ReportAllocs(); for b.Loop(){ config.LoadDefaultConfig(context.Background()) }})
 cfg,_:=config.LoadDefaultConfig(context.Background())
 b.Run("sts", func(b *testing.B){ b.ReportAllocs(); for b.Loop(){ sts.NewFromConfig(cfg) }})
}
func TestOne(t *testing.T){
 t.Setenv("HOME", t.TempDir()); t.Setenv("AWS_ACCESS_KEY_ID","AKIA"); t.Setenv("AWS_SECRET_ACCESS_KEY","x")
 if os.Getenv("NOCA")!="" {t.Setenv("AWS_CA_BUNDLE","")}
 s:=time.Now(); cfg,_:=config.LoadDefaultConfig(context.Background()); t.Log(time.Since(s))
 s=time.Now(); cfg.Credentials.Retrieve(context.Background()); t.Log(time.Since(s))
 s=time.Now(); config.LoadDefaultConfig(context.Background()); t.Log(time.Since(s))
 s=time.Now(); sts.NewFromConfig(cfg); t.Log(time.Since(s))
}
