import {
  ADDITIONAL_PROPERTY_FLAG, canExpand, descriptionId, errorId, getInputProps, type ArrayFieldItemTemplateProps, type ArrayFieldTemplateProps,
  type BaseInputTemplateProps, type FieldErrorProps, type FieldPathId, type FieldTemplateProps, type MultiSchemaFieldTemplateProps, type ObjectFieldTemplateProps,
  type OptionalDataControlsTemplateProps, type TemplatesType, type WrapIfAdditionalTemplateProps,
} from '@rjsf/utils';
import { ArrowDown, ArrowUp, Plus, X } from 'lucide-react';
import type { ReactNode } from 'react';
import { classes } from '~/lib/classes';
import { Button, IconButton } from '~/ui/Button';
import { Input } from '~/ui/Field';
import styles from './form.module.css';
import { BaseInput, type Values } from './widgets';

function FieldTemplate(props: FieldTemplateProps<Values>) {
  const { id, label, children, errors, hidden, required, displayLabel, rawDescription, schema } = props;
  if (hidden) return <div hidden>{children}</div>;
  const isGroup = schema.type === 'object' || schema.type === 'array';
  return (
    <WrapIfAdditional {...props}>
      <div className={styles.field}>
        {displayLabel && (
          <label htmlFor={id} className={styles.label}>
            {label}
            {required && <Required />}
          </label>
        )}
        {displayLabel && rawDescription && !isGroup && (
          <p id={descriptionId(id)} className={styles.description}>
            {rawDescription}
          </p>
        )}
        {children}
        {errors}
      </div>
    </WrapIfAdditional>
  );
}

const Required = () => <span className={styles.required}>required</span>;

/** A member that the schema has no name for: its name is written, and it can be taken away. */
function WrapIfAdditional(props: WrapIfAdditionalTemplateProps<Values>) {
  const { id, label, schema, children, disabled, onKeyRenameBlur, onRemoveProperty } = props;
  if (!(ADDITIONAL_PROPERTY_FLAG in schema)) return children;
  return (
    <div className={styles.additional}>
      <Input key={label} aria-label={`Name of ${label}`} id={`${id}-key`} defaultValue={label} disabled={disabled} onBlur={onKeyRenameBlur} />
      {children}
      <IconButton label={`Remove ${label}`} icon={<X aria-hidden="true" />} disabled={disabled} onClick={onRemoveProperty} />
    </div>
  );
}

function FieldErrors({ errors, fieldPathId }: FieldErrorProps<Values>) {
  if (!errors || errors.length === 0) return null;
  return (
    <ul id={errorId(fieldPathId)} className={styles.problem}>
      {[...new Set(errors)].map((error, index) => (
        <li key={index}>{error}</li>
      ))}
    </ul>
  );
}

function Group({ id, title, required, description, control, children }: { id: string; title?: string; required?: boolean; description?: ReactNode; control?: ReactNode; children: ReactNode }) {
  return (
    <fieldset id={id} className={styles.group}>
      <legend className={styles.legend}>
        <span className={styles.label}>
          {title}
          {required && <Required />}
        </span>
        {control}
      </legend>
      {description && <p className={styles.description}>{description}</p>}
      {children}
    </fieldset>
  );
}

/** What the tool calls it: the title of an object is often that of its type. */
function nameOf({ path }: FieldPathId, title: string): string {
  const name = path.at(-1);
  return typeof name === 'string' ? name : title;
}

function ObjectField(props: ObjectFieldTemplateProps<Values>) {
  const { title, description, properties, required, schema, uiSchema, formData, disabled, onAddProperty, optionalDataControl, fieldPathId } = props;
  if ((schema.oneOf || schema.anyOf) && !schema.properties && properties.length === 0) return null;
  const isRoot = fieldPathId.path.length === 0;
  const content = (
    <>
      {properties.length > 0 && <div className={classes(styles.members, !isRoot && styles.nested)}>{properties.map((property) => property.content)}</div>}
      {canExpand(schema, uiSchema, formData) && !(optionalDataControl && formData === undefined) && (
        <Button size="small" icon={<Plus aria-hidden="true" />} disabled={disabled} onClick={onAddProperty}>
          Add a member
        </Button>
      )}
    </>
  );
  if (isRoot) return <div className={styles.root}>{content}</div>;
  return (
    <Group id={fieldPathId.$id} title={nameOf(fieldPathId, title)} required={required} description={description ?? schema.description} control={optionalDataControl}>
      {content}
    </Group>
  );
}

function ArrayField({ title, items, required, schema, canAdd, disabled, onAddClick, optionalDataControl, fieldPathId }: ArrayFieldTemplateProps<Values>) {
  return (
    <Group id={fieldPathId.$id} title={nameOf(fieldPathId, title)} required={required} description={schema.description} control={optionalDataControl}>
      {items.length > 0 && <ol className={styles.items}>{items}</ol>}
      {canAdd && !(optionalDataControl && items.length === 0) && (
        <Button size="small" icon={<Plus aria-hidden="true" />} disabled={disabled} onClick={onAddClick}>
          Add an item
        </Button>
      )}
    </Group>
  );
}

function ArrayItem({ children, buttonsProps, index }: ArrayFieldItemTemplateProps<Values>) {
  const { hasMoveUp, hasMoveDown, hasRemove, onMoveUpItem, onMoveDownItem, onRemoveItem, disabled } = buttonsProps;
  return (
    <li className={styles.item}>
      <span className={styles.index} aria-hidden="true">
        {index + 1}
      </span>
      <div className={styles.itemContent}>{children}</div>
      <div className={styles.itemButtons}>
        {hasMoveUp && <IconButton size="small" label={`Move item ${index + 1} up`} icon={<ArrowUp aria-hidden="true" />} disabled={disabled} onClick={onMoveUpItem} />}
        {hasMoveDown && <IconButton size="small" label={`Move item ${index + 1} down`} icon={<ArrowDown aria-hidden="true" />} disabled={disabled} onClick={onMoveDownItem} />}
        {hasRemove && <IconButton size="small" label={`Remove item ${index + 1}`} icon={<X aria-hidden="true" />} disabled={disabled} onClick={onRemoveItem} />}
      </div>
    </li>
  );
}

/** An object or list that need not be given is there or is not: that is chosen. */
function OptionalDataControls({ onAddClick, onRemoveClick }: OptionalDataControlsTemplateProps<Values>) {
  if (onAddClick) {
    return (
      <Button size="small" icon={<Plus aria-hidden="true" />} onClick={onAddClick}>
        Add
      </Button>
    );
  }
  if (!onRemoveClick) return null;
  return (
    <Button size="small" variant="quiet" icon={<X aria-hidden="true" />} onClick={onRemoveClick}>
      Leave out
    </Button>
  );
}

function MultiSchema({ selector, optionSchemaField }: MultiSchemaFieldTemplateProps<Values>) {
  return (
    <div className={styles.shapes}>
      {selector}
      {optionSchemaField}
    </div>
  );
}

function BaseInputTemplate(props: BaseInputTemplateProps<Values>) {
  return <BaseInput {...props} inputProps={getInputProps(props.schema, props['type'] as string | undefined, props.options)} />;
}

export const templates: Partial<TemplatesType<Values>> = {
  FieldTemplate,
  WrapIfAdditionalTemplate: WrapIfAdditional,
  FieldErrorTemplate: FieldErrors,
  ObjectFieldTemplate: ObjectField,
  ArrayFieldTemplate: ArrayField,
  ArrayFieldItemTemplate: ArrayItem,
  OptionalDataControlsTemplate: OptionalDataControls,
  MultiSchemaFieldTemplate: MultiSchema,
  BaseInputTemplate,
};
