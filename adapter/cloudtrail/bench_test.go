package cloudtrail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// usual are fields that most events have and that are not read.
const usual = `,"requestID":"6b3a2f0e-0000-4000-8000-00000000000a","managementEvent":true,"eventCategory":"Management","vpcEndpointId":"vpce-0123456789abcdef0","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"service.eu-central-1.amazonaws.com"},"userAgent":"aws-cli/2.15.0 md/awscrt#0.19.19 ua/2.0 os/linux#6.1.0 md/arch#x86_64 lang/python#3.11.6 md/pyimpl#CPython cfg/retry-mode#standard md/prompt#off md/command#service.command"`

// trail writes a made-up file of n events as a trail has them: four of five
// only read, the others change a database, an instance, a group or tags.
func trail(n int) string {
	who := []string{
		alice,
		session("AWSReservedSSO_AdministratorAccess_0123456789abcdef", "alice@example.com", ""),
		session("ci", "GitHubActions", ""),
		session("web", "i-0abcdef1234567890", ""),
		`{"type":"AWSService","invokedBy":"autoscaling.amazonaws.com"}`,
	}
	changes := [][3]string{
		{"rds", "ModifyDBInstance", `,"requestParameters":{"dBInstanceIdentifier":"db-%d","dBInstanceClass":"db.t3.large","applyImmediately":true,"backupRetentionPeriod":7,"multiAZ":true,"vpcSecurityGroupIds":["sg-0123456789abcdef0"]},"responseElements":{"dBInstanceIdentifier":"db-%[1]d","dBInstanceClass":"db.t3.small","engine":"postgres","dBInstanceStatus":"available","masterUsername":"app","endpoint":{"address":"db.example.com","port":5432},"allocatedStorage":100,"pendingModifiedValues":{"dBInstanceClass":"db.t3.large"},"dBInstanceArn":"arn:aws:rds:eu-central-1:123456789012:db:db-%[1]d","storageEncrypted":true}`},
		{"ec2", "ModifyInstanceAttribute", `,"requestParameters":{"instanceId":"i-%017x","instanceType":{"value":"t3.large"}},"responseElements":{"_return":true}`},
		{"autoscaling", "UpdateAutoScalingGroup", `,"requestParameters":{"autoScalingGroupName":"web-%d","minSize":2,"maxSize":9,"desiredCapacity":4},"responseElements":null`},
		{"ec2", "CreateTags", `,"requestParameters":{"resourcesSet":{"items":[{"resourceId":"i-%017x"}]},"tagSet":{"items":[{"key":"team","value":"pay"},{"key":"stage","value":"prod"}]}},"responseElements":{"_return":true}`},
	}
	var b strings.Builder
	b.WriteString(`{"Records":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		call := [3]string{"ec2", "DescribeInstances", `,"readOnly":true,"requestParameters":{"instancesSet":{"items":[{"instanceId":"i-%017x"}]},"filterSet":{}},"responseElements":null,"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"ec2.eu-central-1.amazonaws.com"}`}
		if i%5 == 4 {
			call = changes[i/5%len(changes)]
		}
		event := anEvent(who[i%len(who)], call[0], call[1], fmt.Sprintf(call[2], i%1000)+usual)
		b.WriteString(strings.Replace(event, "000000000001", fmt.Sprintf("%012d", i), 1))
	}
	b.WriteString(`]}`)
	return b.String()
}

// BenchmarkDecode reads gzip files of made-up events, one decoder a core.
func BenchmarkDecode(b *testing.B) {
	const n = 2000
	text := trail(n)
	file := zip(b, text)
	b.ReportMetric(float64(len(text))/n, "bytes/event")
	var events atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			d := NewDecoder(bytes.NewReader(file), testKey, "trail")
			for {
				if _, err := d.Next(); err == io.EOF {
					break
				} else if err != nil {
					b.Error(err)
					return
				}
				events.Add(1)
			}
		}
	})
	b.ReportMetric(float64(events.Load())/b.Elapsed().Seconds(), "events/s")
}

// FuzzDecode reads any bytes, and holds that Next ends, that what is read can
// be used and is bounded, and that a password is sealed.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(trail(5)))
	f.Add(zip(f, trail(2)))
	f.Add([]byte(anEvent(alice, "rds", "ModifyDBInstance", `,"requestParameters":{"masterUserPassword":"hunter2hunter2"}`)))
	f.Add([]byte(`{"Records":[{"eventVersion":"1`))
	f.Add([]byte("{\"a\":\"\\\n{\"eventVersion\":1}\n[[]]}}{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		d := NewDecoder(bytes.NewReader(data), testKey, "fuzz")
		// A zipped input may be a thousand times larger than it looks.
		for range 100_000 {
			record, err := d.Next()
			var bad *BadEvent
			switch {
			case err == nil:
				if err := record.Check(); err != nil {
					t.Fatal(err)
				}
				if len(record.Targets) > maxTargets || len(record.Settings) > maxSettings {
					t.Fatalf("%d targets, %d settings", len(record.Targets), len(record.Settings))
				}
				for i, s := range record.Settings {
					if i > 0 && s.Path <= record.Settings[i-1].Path {
						t.Fatalf("settings are not sorted: %q", s.Path)
					}
					if strings.HasSuffix(s.Path, "password") && s.Value.Kind() == penumbra.StringKind && s.Value.Text() != "" && penumbra.LooksSecret(s.Path, s.Value) {
						t.Fatalf("%s is not sealed", s.Path)
					}
				}
			case errors.As(err, &bad):
			default:
				return
			}
		}
	})
}
