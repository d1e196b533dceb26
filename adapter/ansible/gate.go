package ansible

// gate is a callback plugin that ends a run before a task that would really
// run in check mode, and writes down how each task is declared. Ansible calls it
// in its main process before the task is handed to a host, after includes and
// inheritance are resolved, so that it sees what no reading of the files would.
// What it writes may hold secrets: it goes with the scratch folder.
const gate = `from __future__ import annotations
import json
import os
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import module_loader

FIELDS = ('action', 'args', 'loop', 'loop_with', 'become', 'become_user', 'become_method', 'environment',
          'remote_user', 'connection', 'delegate_to', 'module_defaults', 'tags', 'notify', 'vars', 'no_log')


def plain(value):
    return {'__sealed__': True}


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'aggregate'
    CALLBACK_NAME = 'penumbra_gate'
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.file = os.environ['PENUMBRA_GATE']
        self.open = os.environ.get('PENUMBRA_GATE_OPEN') == '1'
        with open(self.file + '.loaded', 'w'):
            pass
        self.modules = {}
        self.tasks = open(self.file + '.tasks', 'w', encoding='utf-8', errors='replace')

    def note(self, task, handler):
        said = {'id': str(task._uuid), 'name': task.get_name(), 'path': str(task.get_path()), 'handler': handler}
        if task._role is not None:
            said['role'], said['role_path'] = task._role.get_name(), task._role._role_path
        said['module_path'] = self.module(task)
        for field in FIELDS:
            try:
                said[field] = getattr(task, field)
            except Exception:
                pass
        self.tasks.write(json.dumps(said, default=plain) + '\n')
        self.tasks.flush()

    def module(self, task):
        try:
            known = (task.action, tuple(task.collections or ()))
            if known not in self.modules:
                found = module_loader.find_plugin_with_context(task.action, collection_list=list(task.collections or []))
                self.modules[known] = str(found.plugin_resolved_path or '')
            return self.modules[known]
        except Exception:
            return ''

    def stop(self, task, handler):
        self.note(task, handler)
        if self.open or task.check_mode is True:
            return
        with open(self.file, 'w', encoding='utf-8', errors='replace') as f:
            f.write(task.get_name() + ' (' + str(task.get_path()) + ')')
        os._exit(97)

    def v2_playbook_on_play_start(self, play):
        for block in play.handlers or []:
            for task in block.block:
                try:
                    self.note(task, True)
                except Exception:
                    pass

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.stop(task, False)

    def v2_playbook_on_handler_task_start(self, task):
        self.stop(task, True)

    def v2_playbook_on_cleanup_task_start(self, task):
        self.stop(task, False)
`
