package cloudtrail

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

var testKey = penumbra.Key("a key for tests")

// anEvent returns an event with more fields than those that every test needs.
func anEvent(identity, source, name, more string) string {
	return fmt.Sprintf(`{"eventVersion":"1.09","userIdentity":%s,"eventTime":"2026-03-01T09:12:44Z","eventSource":"%s.amazonaws.com","eventName":%q,"awsRegion":"eu-central-1","sourceIPAddress":"203.0.113.7","userAgent":"aws-cli/2.15.0","eventID":"6f0a6f2e-1f4c-4a53-9d43-000000000001","readOnly":false,"eventType":"AwsApiCall","recipientAccountId":"123456789012"%s}`,
		identity, source, name, more)
}

const alice = `{"type":"IAMUser","principalId":"AIDAEXAMPLE","arn":"arn:aws:iam::123456789012:user/team/alice","accountId":"123456789012","userName":"alice"}`

// session is the identity of an assumed role.
func session(role, name, more string) string {
	return fmt.Sprintf(`{"type":"AssumedRole","principalId":"AROAEXAMPLE:%[2]s","arn":"arn:aws:sts::123456789012:assumed-role/%[1]s/%[2]s","accountId":"123456789012","sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::123456789012:role/%[1]s","userName":%[1]q},"attributes":{"creationDate":"2026-03-01T09:00:00Z","mfaAuthenticated":"false"}}%[3]s}`, role, name, more)
}

// all reads an input to its end.
func all(t *testing.T, r io.Reader) (records []penumbra.Record, bad []*BadEvent, end error) {
	t.Helper()
	d := NewDecoder(r, testKey, "trail")
	for range 100_000 {
		record, err := d.Next()
		var one *BadEvent
		switch {
		case err == nil:
			records = append(records, record)
		case errors.As(err, &one):
			bad = append(bad, one)
		default:
			return records, bad, err
		}
	}
	t.Fatal("the input does not end")
	return nil, nil, nil
}

func one(t *testing.T, event string) penumbra.Record {
	t.Helper()
	records, bad, err := all(t, strings.NewReader(event))
	if len(records) != 1 || len(bad) != 0 || err != io.EOF {
		t.Fatalf("%d records, bad %v, %v", len(records), bad, err)
	}
	if err := records[0].Check(); err != nil {
		t.Fatal(err)
	}
	return records[0]
}

func TestActor(t *testing.T) {
	t.Parallel()
	const u, a, s, x = penumbra.User, penumbra.Automation, penumbra.System, penumbra.UnknownActor
	tests := []struct {
		name, identity, more string
		actor                string
		kind                 penumbra.ActorKind
		via                  string
	}{
		{"IAM user", alice, ``, "alice", u, ""},
		{"IAM user through CloudFormation", strings.Replace(alice, `"type"`, `"invokedBy":"cloudformation.amazonaws.com","type"`, 1), ``, "alice", u, "cloudformation.amazonaws.com"},
		{"IAM user with Terraform", alice, `,"userAgent":"APN/1.0 HashiCorp/1.0 Terraform/1.7.5 (+https://www.terraform.io) terraform-provider-aws/5.40.0"`, "alice", a, ""},
		{"root", `{"type":"Root","principalId":"123456789012","arn":"arn:aws:iam::123456789012:root","accountId":"123456789012"}`, ``, "root", u, ""},
		{"single sign-on", session("AWSReservedSSO_AdministratorAccess_0123456789abcdef", "alice@example.com", ""), ``, "alice@example.com", u, "AWSReservedSSO_AdministratorAccess_0123456789abcdef"},
		{"single sign-on with Terraform", session("AWSReservedSSO_AdministratorAccess_0123456789abcdef", "alice@example.com", ""), `,"userAgent":"HashiCorp Terraform/1.7.5"`, "alice@example.com", u, "AWSReservedSSO_AdministratorAccess_0123456789abcdef"},
		{"source identity", strings.Replace(session("deploy", "x", ""), `"sessionContext":{`, `"sessionContext":{"sourceIdentity":"bob",`, 1), ``, "bob", u, "deploy"},
		{"on behalf of", session("quicksight", "s-1", `,"onBehalfOf":{"userId":"93067890-b0f1-7000-0000-000000000000","identityStoreArn":"arn:aws:identitystore::111122223333:identitystore/d-9067642ac7"}`), ``, "s-1", u, "quicksight"},
		{"second factor", strings.Replace(session("ops", "carol", ""), `"mfaAuthenticated":"false"`, `"mfaAuthenticated":"true"`, 1), ``, "carol", u, "ops"},
		{"console", session("ops", "carol", ""), `,"sessionCredentialFromConsole":"true"`, "carol", u, "ops"},
		{"mail address", session("ops", "dan@example.com", ""), ``, "dan@example.com", u, "ops"},
		{"a name that anybody may choose", session("ops", "erin", ""), ``, "erin", x, "ops"},
		{"GitHub by its token", strings.Replace(session("ci", "run-7", ""), `"sessionContext":{`, `"sessionContext":{"webIdFederationData":{"federatedProvider":"arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com","attributes":{}},`, 1), ``, "run-7", a, "ci"},
		{"GitHub by its name", session("ci", "GitHubActions", ""), ``, "GitHubActions", a, "ci"},
		{"Terraform's unnamed session", session("ci", "aws-go-sdk-1709284364000000000", ""), ``, "aws-go-sdk-1709284364000000000", a, "ci"},
		{"Atlantis", session("ci", "deploy-3", ""), `,"userAgent":"APN/1.0 HashiCorp/1.0 Terraform/1.5.7 atlantis/0.27"`, "deploy-3", a, "ci"},
		{"an instance", session("web", "i-0abcdef1234567890", ""), ``, "i-0abcdef1234567890", a, "web"},
		{"a function", session("resizer", "resizer", ""), `,"userAgent":"Boto3/1.34 exec-env/AWS_Lambda_python3.12"`, "resizer", a, "resizer"},
		{"a function in scope", session("resizer", "r", `,"inScopeOf":{"sourceArn":"arn:aws:lambda:eu-central-1:123456789012:function:resizer","issuerType":"AWS::Lambda::Function"}`), ``, "arn:aws:lambda:eu-central-1:123456789012:function:resizer", a, "resizer"},
		{"a service-linked role", strings.ReplaceAll(session("AWSServiceRoleForAutoScaling", "AutoScaling", `,"invokedBy":"autoscaling.amazonaws.com"`), "role/AWSService", "role/aws-service-role/autoscaling.amazonaws.com/AWSService"), ``, "autoscaling.amazonaws.com", s, "AWSServiceRoleForAutoScaling"},
		{"CloudFormation with a role", session("stacks", "AWSCloudFormation", `,"invokedBy":"cloudformation.amazonaws.com"`), ``, "AWSCloudFormation", a, "stacks by cloudformation.amazonaws.com"},
		{"a service", `{"type":"AWSService","invokedBy":"rds.amazonaws.com"}`, ``, "rds.amazonaws.com", s, ""},
		{"SAML", `{"type":"SAMLUser","principalId":"SAMPLE:frank","userName":"frank","identityProvider":"https://idp.example.com"}`, ``, "frank", u, "https://idp.example.com"},
		{"web identity of a pod", `{"type":"WebIdentityUser","principalId":"oidc","userName":"system:serviceaccount:a:b","identityProvider":"arn:aws:iam::1:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/X"}`, ``, "system:serviceaccount:a:b", a, "arn:aws:iam::1:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/X"},
		{"web identity of a person", `{"type":"WebIdentityUser","principalId":"accounts.google.com:app:7","userName":"7","identityProvider":"accounts.google.com"}`, ``, "7", u, "accounts.google.com"},
		{"federated", `{"type":"FederatedUser","principalId":"123456789012:grace","arn":"arn:aws:sts::123456789012:federated-user/grace","sessionContext":{"sessionIssuer":{"type":"IAMUser","userName":"broker"}}}`, ``, "grace", u, "broker"},
		{"another account", `{"type":"AWSAccount","principalId":"AIDAX","accountId":"999999999999"}`, ``, "999999999999", x, ""},
		{"anonymous", `{"type":"AWSAccount","accountId":"anonymous"}`, ``, "anonymous", x, ""},
		{"no identity", `null`, ``, "", x, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := one(t, anEvent(tt.identity, "rds", "ModifyDBInstance", tt.more))
			if got.Actor != tt.actor || got.ActorKind != tt.kind || got.Via != tt.via {
				t.Errorf("got %q, %s, via %q; want %q, %s, via %q", got.Actor, got.ActorKind, got.Via, tt.actor, tt.kind, tt.via)
			}
			if got.Attributes["actor_reason"] == "" {
				t.Error("no reason is given")
			}
		})
	}
}

// texts writes settings as a test reads them.
func texts(s penumbra.Settings) map[string]string {
	out := make(map[string]string, len(s))
	for _, x := range s {
		out[x.Path] = x.Value.String()
	}
	return out
}

func TestTargetsAndSettings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, source, call, more string
		typ                      string
		targets                  []string
		settings                 map[string]string
	}{
		{
			"database", "rds", "ModifyDBInstance",
			`,"requestParameters":{"dBInstanceIdentifier":"shop","dBInstanceClass":"db.t3.large","masterUserPassword":"HIDDEN_DUE_TO_SECURITY_REASONS","applyImmediately":true,"backupRetentionPeriod":7,"multiAZ":true,"vpcSecurityGroupIds":["sg-0123456789abcdef0"],"enableIAMDatabaseAuthentication":true},"responseElements":{"dBInstanceIdentifier":"shop","dBInstanceArn":"arn:aws:rds:eu-central-1:123456789012:db:shop"}`,
			"aws_db_instance", []string{"arn:aws:rds:eu-central-1:123456789012:db:shop", "shop"},
			map[string]string{
				"identifier": `"shop"`, "instance_class": `"db.t3.large"`, "password": "(known after apply)", "backup_retention_period": "7",
				"multi_az": "true", "vpc_security_group_ids.sg-0123456789abcdef0": "true", "iam_database_authentication_enabled": "true",
			},
		},
		{
			"parameter group", "rds", "ModifyDBParameterGroup",
			`,"requestParameters":{"dBParameterGroupName":"pg15","parameters":[{"parameterName":"work_mem","parameterValue":"64","applyMethod":"immediate"}]}`,
			"aws_db_parameter_group", []string{"arn:aws:rds:eu-central-1:123456789012:pg:pg15", "pg15"},
			map[string]string{"parameter.work_mem.name": `"work_mem"`, "parameter.work_mem.value": `"64"`, "parameter.work_mem.apply_method": `"immediate"`},
		},
		{
			"instance", "ec2", "ModifyInstanceAttribute",
			`,"requestParameters":{"instanceId":"i-0abcdef1234567890","instanceType":{"value":"t3.large"},"disableApiTermination":{"value":true},"userData":"<sensitiveDataRemoved>"},"responseElements":{"_return":true}`,
			"aws_instance", []string{"arn:aws:ec2:eu-central-1:123456789012:instance/i-0abcdef1234567890", "i-0abcdef1234567890"},
			map[string]string{"instance_type": `"t3.large"`, "disable_api_termination": "true", "user_data": "(known after apply)"},
		},
		{
			"launch", "ec2", "RunInstances",
			`,"requestParameters":{"instancesSet":{"items":[{"imageId":"ami-0123456789abcdef0","minCount":1,"maxCount":1}]},"instanceType":"t3.micro","userData":"IyEvYmluL3No","groupSet":{"items":[{"groupId":"sg-0aa"}]}},"responseElements":{"instancesSet":{"items":[{"instanceId":"i-0abcdef1234567890","subnetId":"subnet-1"}]}}`,
			"aws_instance", []string{"arn:aws:ec2:eu-central-1:123456789012:instance/i-0abcdef1234567890", "i-0abcdef1234567890"},
			map[string]string{"instance_type": `"t3.micro"`, "ami": `"ami-0123456789abcdef0"`, "user_data": "(sensitive)", "vpc_security_group_ids.sg-0aa": "true"},
		},
		{
			"rule of a security group", "ec2", "AuthorizeSecurityGroupIngress",
			`,"requestParameters":{"groupId":"sg-0123456789abcdef0","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":22,"toPort":22,"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]}}]}}`,
			"aws_security_group", []string{"arn:aws:ec2:eu-central-1:123456789012:security-group/sg-0123456789abcdef0", "sg-0123456789abcdef0"},
			map[string]string{"ingress": "(known after apply)"},
		},
		{
			"tags of an instance", "ec2", "CreateTags",
			`,"requestParameters":{"resourcesSet":{"items":[{"resourceId":"i-0abcdef1234567890"}]},"tagSet":{"items":[{"key":"costCentre","value":"42"}]}}`,
			"aws_instance", []string{"i-0abcdef1234567890"}, map[string]string{"tags.costCentre": `"42"`},
		},
		{
			"tags taken away", "ec2", "DeleteTags",
			`,"requestParameters":{"resourcesSet":{"items":[{"resourceId":"i-0abcdef1234567890"}]},"tagSet":{"items":[{"key":"team"}]}}`,
			"aws_instance", []string{"i-0abcdef1234567890"}, map[string]string{"tags.team": "(absent)"},
		},
		{
			"tags by ARN", "rds", "AddTagsToResource",
			`,"requestParameters":{"resourceName":"arn:aws:rds:eu-central-1:123456789012:db:shop","tags":[{"key":"team","value":"pay"}]}`,
			"aws_db_instance", []string{"arn:aws:rds:eu-central-1:123456789012:db:shop"}, map[string]string{"tags.team": `"pay"`},
		},
		{
			"bucket", "s3", "PutBucketVersioning",
			`,"requestParameters":{"bucketName":"shop-assets","Host":"s3.amazonaws.com","versioning":"","VersioningConfiguration":{"Status":"Suspended","xmlns":"http://s3.amazonaws.com/doc/2006-03-01/"}},"resources":[{"accountId":"123456789012","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::shop-assets"}]`,
			"aws_s3_bucket", []string{"arn:aws:s3:::shop-assets", "shop-assets"}, map[string]string{"versioning_configuration.status": `"Suspended"`},
		},
		{
			"role", "iam", "UpdateAssumeRolePolicy", `,"requestParameters":{"roleName":"app","policyDocument":"{\"Version\":\"2012-10-17\"}"}`,
			"aws_iam_role", []string{"arn:aws:iam::123456789012:role/app", "app"}, map[string]string{"assume_role_policy": `"{\"Version\":\"2012-10-17\"}"`},
		},
		{
			"policy on a role", "iam", "AttachRolePolicy", `,"requestParameters":{"roleName":"app","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}`,
			"aws_iam_role", []string{"arn:aws:iam::123456789012:role/app", "app"}, map[string]string{"managed_policy_arns": "(known after apply)"},
		},
		{
			"function", "lambda", "UpdateFunctionConfiguration20150331v2", `,"requestParameters":{"functionName":"resizer","memorySize":512,"timeout":30,"environment":{"variables":{"LOG_LEVEL":"debug","DB_PASSWORD":"hunter2"}}}`,
			"aws_lambda_function", []string{"arn:aws:lambda:eu-central-1:123456789012:function:resizer", "resizer"},
			map[string]string{"memory_size": "512", "timeout": "30", "environment.variables.LOG_LEVEL": `"debug"`, "environment.variables.DB_PASSWORD": "(sensitive)"},
		},
		{
			"scaling group", "autoscaling", "SetDesiredCapacity", `,"requestParameters":{"autoScalingGroupName":"web","desiredCapacity":5,"honorCooldown":false}`,
			"aws_autoscaling_group", []string{"web"}, map[string]string{"desired_capacity": "5"},
		},
		{
			"tags of a scaling group", "autoscaling", "CreateOrUpdateTags", `,"requestParameters":{"tags":[{"resourceId":"web","resourceType":"auto-scaling-group","key":"team","value":"pay","propagateAtLaunch":true}]}`,
			"", []string{"web"}, map[string]string{"tags.team": `"pay"`},
		},
		{
			"tags of a function taken away", "lambda", "UntagResource20170331v2", `,"requestParameters":{"resource":"arn:aws:lambda:eu-central-1:123456789012:function:resizer","tagKeys":["team"]}`,
			"aws_lambda_function", []string{"arn:aws:lambda:eu-central-1:123456789012:function:resizer"}, map[string]string{"tags.team": "(absent)"},
		},
		{
			"tags of a bucket", "s3", "PutBucketTagging", `,"requestParameters":{"bucketName":"shop","Tagging":{"TagSet":{"Tag":[{"Key":"team","Value":"pay"}]},"xmlns":"http://s3.amazonaws.com/doc/2006-03-01/"},"tagging":"","Host":"s3.amazonaws.com"}`,
			"aws_s3_bucket", []string{"arn:aws:s3:::shop", "shop"}, map[string]string{"tags.team": `"pay"`},
		},
		{
			"what the table does not have", "mediaconvert", "UpdateQueue", `,"requestParameters":{"name":"q","status":"PAUSED","reservationPlanSettings":{"reservedSlots":2}}`,
			"", []string{"q"}, map[string]string{"name": `"q"`, "status": `"PAUSED"`, "reservation_plan_settings.reserved_slots": "2"},
		},
		{
			"container", "ecs", "RegisterTaskDefinition", `,"requestParameters":{"family":"api","containerDefinitions":[{"name":"api","image":"api:2","environment":[{"name":"API_TOKEN","value":"abc"},{"name":"MODE","value":"x"}]}]}`,
			"aws_ecs_task_definition", []string{"api"},
			map[string]string{
				"family": `"api"`, "container_definitions.api.name": `"api"`, "container_definitions.api.image": `"api:2"`,
				"container_definitions.api.environment.API_TOKEN.name": `"API_TOKEN"`, "container_definitions.api.environment.API_TOKEN.value": "(sensitive)",
				"container_definitions.api.environment.MODE.name": `"MODE"`, "container_definitions.api.environment.MODE.value": `"x"`,
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := one(t, anEvent(alice, tt.source, tt.call, tt.more))
			if got.Type != tt.typ {
				t.Errorf("type %q, want %q", got.Type, tt.typ)
			}
			if diff := cmp.Diff(tt.targets, got.Targets); diff != "" {
				t.Errorf("targets: %s", diff)
			}
			if diff := cmp.Diff(tt.settings, texts(got.Settings)); diff != "" {
				t.Errorf("settings: %s", diff)
			}
		})
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	got := one(t, anEvent(alice, "rds", "DeleteDBInstance", `,"errorCode":"AccessDenied","errorMessage":"User alice with password=hunter2 may not","requestParameters":{"dBInstanceIdentifier":"shop"}`))
	want := penumbra.Record{
		Time: time.Date(2026, 3, 1, 9, 12, 44, 0, time.UTC), Format: "cloudtrail", Input: "trail", ID: "6f0a6f2e-1f4c-4a53-9d43-000000000001",
		Actor: "alice", ActorKind: penumbra.User, Action: "DeleteDBInstance", Type: "aws_db_instance",
		Targets:  []string{"arn:aws:rds:eu-central-1:123456789012:db:shop", "shop"},
		Settings: penumbra.NewSettings(penumbra.Setting{Path: "identifier", Value: penumbra.String("shop")}),
		Failed:   "AccessDenied", Message: "User alice with password=[redacted] may not",
		Attributes: map[string]string{
			"account": "123456789012", "region": "eu-central-1", "event_source": "rds.amazonaws.com", "source_ip": "203.0.113.7",
			"user_agent": "aws-cli/2.15.0", "identity_type": "IAMUser", "actor_reason": "an IAM user",
		},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b penumbra.Value) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	for name, readOnly := range map[string]bool{`,"readOnly":true`: true, `,"readOnly":"true"`: true, `,"readOnly":null`: true, `,"readOnly":false`: false} {
		if got := one(t, anEvent(alice, "rds", "DescribeDBInstances", name)); got.ReadOnly != readOnly {
			t.Errorf("%s: read only is %t", name, got.ReadOnly)
		}
	}
	if got := one(t, anEvent(alice, "signin", "ConsoleLogin", `,"errorMessage":"Failed authentication"`)); got.Failed != "Failed authentication" {
		t.Errorf("a failed sign-in: %q", got.Failed)
	}
}

// TestNoSecrets holds that nothing of the credentials that calls take and give
// is in a record.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	for _, event := range []string{
		anEvent(alice, "sts", "GetSessionToken", `,"responseElements":{"credentials":{"accessKeyId":"ASIAHUNTER2HUNTER2HU","sessionToken":"hunter2hunter2","expiration":"x"}}`),
		anEvent(alice, "iam", "CreateAccessKey", `,"requestParameters":{"userName":"bob"},"responseElements":{"accessKey":{"accessKeyId":"AKIAHUNTER2HUNTER2HU","userName":"bob","status":"Active"}}`),
		anEvent(alice, "other", "PutThing", `,"requestParameters":{"id":"AKIAHUNTER2HUNTER2HU","name":"x","apiKey":"hunter2","nested":{"clientSecret":"hunter2","list":[{"password":"hunter2"}]},"script":"export TOKEN=hunter2\nrun"}`),
		anEvent(alice, "ec2", "RunInstances", `,"requestParameters":{"instanceType":"t3.micro","userData":"hunter2"}`),
		anEvent(alice, "rds", "ModifyDBInstance", `,"requestParameters":{"dBInstanceIdentifier":"shop","masterUserPassword":"hunter2"},"userAgent":"x token=hunter2"`),
	} {
		record := one(t, event)
		for _, s := range record.Settings {
			if strings.Contains(strings.ToLower(s.Value.Text()), "hunter2") {
				t.Errorf("%s: %s is %s", record.Action, s.Path, s.Value)
			}
		}
		if rest := strings.ToLower(fmt.Sprint(record.Targets, record.Attributes, record.Message, record.Actor, record.Via)); strings.Contains(rest, "hunter2") {
			t.Errorf("%s: %s", record.Action, rest)
		}
	}
}

// forms are the ways in which events come.
func TestForms(t *testing.T) {
	t.Parallel()
	events := make([]string, 5)
	for i := range events {
		events[i] = anEvent(alice, "rds", fmt.Sprintf("Call%d", i), `,"requestParameters":{"note":"a } in a \" text { x"}`)
	}
	indented := strings.NewReplacer(`{"`, "{\n  \"", `,"`, ",\n  \"").Replace(strings.Join(events, ","))
	forms := map[string]string{
		"a trail's file":       `{"Records":[` + strings.Join(events, ",") + `]}`,
		"indented":             "{\n \"Records\" : [\n" + indented + "\n]\n}\n",
		"a trailer":            `{"Records":[` + strings.Join(events, ",") + `],"more":{"a":"}"}}` + "\n",
		"a line each":          strings.Join(events, "\n"),
		"an array":             `[` + strings.Join(events, ",\n") + `]`,
		"two files after each": `{"Records":[` + strings.Join(events[:2], ",") + `]}{"Records":[` + strings.Join(events[2:], ",") + `]}`,
		"EventBridge":          `{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":` + strings.Join(events, "}\n"+`{"version":"0","detail":`) + `}`,
		"a byte order mark":    "\ufeff" + strings.Join(events, "\r\n"),
		"Lake's time":          strings.ReplaceAll(strings.Join(events, "\n"), "2026-03-01T09:12:44Z", "2026-03-01 09:12:44.000"),
	}
	for name, form := range forms {
		for kind, r := range map[string]io.Reader{
			"plain": strings.NewReader(form), "gzip": bytes.NewReader(zip(t, form)), "a byte at a time": iotest.OneByteReader(strings.NewReader(form)),
		} {
			records, bad, err := all(t, r)
			if err != io.EOF || len(bad) != 0 || len(records) != len(events) {
				t.Errorf("%s, %s: %d records, bad %v, %v", name, kind, len(records), bad, err)
				continue
			}
			for i := range records {
				if records[i].Action != fmt.Sprintf("Call%d", i) {
					t.Errorf("%s, %s: record %d is %s", name, kind, i, records[i].Action)
				}
			}
		}
	}
}

func zip(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBadEvents(t *testing.T) {
	t.Parallel()
	good := anEvent(alice, "rds", "StopDBInstance", "")
	tests := map[string]struct {
		bad    string
		reason string
	}{
		"no time":            {strings.Replace(good, "eventTime", "time", 1), "eventTime is missing"},
		"no name":            {strings.Replace(good, "eventName", "name", 1), "eventName is missing"},
		"no time at all":     {strings.Replace(good, "2026-03-01T09:12:44Z", "yesterday", 1), "eventTime is no time"},
		"wrong clock":        {strings.Replace(good, "2026-03-01", "1970-01-01", 1), "year 1970: a wrong clock"},
		"clock far ahead":    {strings.Replace(good, "2026-03-01", "9999-01-01", 1), "year 9999: a wrong clock"},
		"a field's type":     {strings.Replace(good, `"alice"`, `{"a":1}`, 1), "userName"},
		"a comma missing":    {strings.Replace(good, `",`, `"`, 1), "not JSON at byte"},
		"too long":           {strings.Replace(good, "StopDBInstance", strings.Repeat("x", MaxEvent), 1), "longer than 4 MiB"},
		"a quote missing":    {strings.Replace(good, `"eventName":"`, `"eventName":`, 1), "not JSON|ends inside a text|does not end before"},
		"a brace too few":    {strings.Replace(good, `}`, ``, 1), "not JSON|does not end before"},
		"deep nesting":       {strings.Replace(good, `"StopDBInstance"`, strings.Repeat(`{"a":`, 20_000)+`1`+strings.Repeat(`}`, 20_000), 1), "not JSON"},
		"binary in the text": {strings.Replace(good, "StopDBInstance", "\x00\x01\xff", 1), "not JSON"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for form, text := range map[string]string{
				"file":  `{"Records":[` + good + `,` + tt.bad + `,` + good + `,` + good + `]}`,
				"lines": good + "\n" + tt.bad + "\n" + good + "\n" + good + "\n",
			} {
				records, bad, err := all(t, strings.NewReader(text))
				if err != io.EOF || len(records) != 3 || len(bad) != 1 {
					t.Errorf("%s: %d records, bad %v, %v", form, len(records), bad, err)
					continue
				}
				if !regexp.MustCompile(tt.reason).MatchString(bad[0].Error()) {
					t.Errorf("%s: reason %q, want %q", form, bad[0], tt.reason)
				}
				if at := strings.Index(text, tt.bad); int64(at) != bad[0].Offset || bad[0].Number != 2 {
					t.Errorf("%s: at event %d, byte %d, want 2 and %d", form, bad[0].Number, bad[0].Offset, at)
				}
			}
		})
	}
}

func TestBrokenInput(t *testing.T) {
	t.Parallel()
	good := anEvent(alice, "rds", "StopDBInstance", "")
	var file strings.Builder
	file.WriteString(`{"Records":[`)
	for i := range 200 {
		if i > 0 {
			file.WriteByte(',')
		}
		fmt.Fprint(&file, strings.Replace(good, "000000000001", fmt.Sprintf("%012d", i*7919), 1))
	}
	file.WriteString(`]}`)
	whole := zip(t, file.String())

	records, bad, err := all(t, bytes.NewReader(whole[:len(whole)/2]))
	if penumbra.KindOf(err) != penumbra.Damaged || len(records) == 0 || len(records) >= 200 || len(bad) != 0 {
		t.Errorf("half a gzip file: %d records, bad %v, %v", len(records), bad, err)
	}
	if want := fmt.Sprintf("after event %d and ", len(records)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "compressed") {
		t.Errorf("half a gzip file does not say how much was read: %v", err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 0xff
	if _, _, err = all(t, bytes.NewReader(flipped)); penumbra.KindOf(err) != penumbra.Damaged {
		t.Errorf("a bit flipped: %v", err)
	}
	if _, _, err = all(t, strings.NewReader("\x1f\x8b\x00")); penumbra.KindOf(err) != penumbra.Damaged {
		t.Errorf("a header of gzip alone: %v", err)
	}
	records, _, err = all(t, strings.NewReader(file.String()[:file.Len()/2]))
	if penumbra.KindOf(err) != penumbra.Damaged || len(records) < 90 {
		t.Errorf("half a plain file: %d records, %v", len(records), err)
	}
	failing := io.MultiReader(strings.NewReader(good+"\n"+good), iotest.ErrReader(errors.New("the network is gone")))
	if records, _, err = all(t, failing); penumbra.KindOf(err) != penumbra.Unavailable || len(records) != 2 {
		t.Errorf("a reader that fails: %d records, %v", len(records), err)
	}
	records, bad, err = all(t, strings.NewReader("\x00\x01\x02 what is this\n"+good))
	if err != io.EOF || len(records) != 1 || len(bad) != 1 || !strings.Contains(bad[0].Reason, "0x00") {
		t.Errorf("binary: %d records, bad %v, %v", len(records), bad, err)
	}
	if records, bad, err = all(t, strings.NewReader("")); err != io.EOF || len(records)+len(bad) != 0 {
		t.Errorf("nothing: %v", err)
	}
}

// endless gives the same byte for ever after a beginning.
type endless struct {
	begin string
	c     byte
	left  int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.begin != "" {
		n := copy(p, e.begin)
		e.begin = e.begin[n:]
		return n, nil
	}
	if e.left <= 0 {
		return 0, io.EOF
	}
	e.left -= len(p)
	for i := range p {
		p[i] = e.c
	}
	return len(p), nil
}

func TestMemory(t *testing.T) {
	t.Parallel()
	for _, in := range []*endless{{`{"Records":[{"eventName":"`, 'x', 20 << 20}, {`{"a":`, '{', 20 << 20}, {"", ' ', 20 << 20}, {"", 0, 20 << 20}, {`{"Records":[]`, '"', 10 << 20}} {
		d := NewDecoder(in, testKey, "trail")
		for {
			_, err := d.Next()
			if len(d.split.buf) > 3*MaxEvent {
				t.Fatalf("%q: a buffer of %d bytes", in.c, len(d.split.buf))
			}
			var bad *BadEvent
			if err != nil && !errors.As(err, &bad) {
				break
			}
		}
	}
}

func TestSnake(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"dBInstanceClass": "db_instance_class", "multiAZ": "multi_az", "vPCZoneIdentifier": "vpc_zone_identifier", "minSize": "min_size",
		"enableIAMDatabaseAuthentication": "enable_iam_database_authentication", "kMSKeyId": "kms_key_id", "BlockPublicAcls": "block_public_acls",
		"ebsOptimized": "ebs_optimized", "": "", "x": "x", "AB": "ab",
	} {
		if got := snake(name); got != want {
			t.Errorf("%s becomes %s, want %s", name, got, want)
		}
	}
}
