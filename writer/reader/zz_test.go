package reader
import ("testing";"os";"fmt")
func TestZZ(t *testing.T){
 for _, a := range [][]string{{"aws","s3","ls"},{"python3","-c","import boto3"},{"s3cmd","ls"},{"/usr/bin/s3cmd"},{"rclone","copy"},{"restic"},{"gdalinfo","x"},{"ruby","-e","x"},{"curl","x"},{"/root/.cache/brs-exec-clients/venv/bin/aws"},{"/root/.cache/brs-exec-clients/matrix/bin/gov1"},{"/root/.cache/brs-exec-clients/matrix/bin/gov2"},{"node","/root/.cache/brs-exec-clients/matrix/jsv3/x.js"},{"sh","-c","export AWS_ACCESS_KEY_ID=x; for i in 1 2; do aws s3 cp a b || python3 x.py; done"},{"sudo","-u","x","aws","s3"},{"/usr/bin/aws"},{"java","-jar","/nope.jar"},{"nosuch"},{"cat"}} {
  r := Look(Start{Argv:a, Env: os.Environ()})
  pr(r,"")
 }
}
func pr(r *Report, ind string){
  fmt.Printf("%s%q %s steps=%v err=%v\n%s  looked=%v\n", ind, r.Argv, r.Runtime, r.Steps, r.Err, ind, r.Looked)
  for _, c := range r.Clients { v,ok := c.Under("auto"); fmt.Printf("%s  C %s %s (%s) named=%v %+v %v\n", ind, c.ID, c, c.Where, c.Named, v, ok)}
  for _, c := range r.Traps { fmt.Printf("%s  T %v\n", ind, c)}
  for _, i := range r.Inner { pr(i, ind+"    ")}
}
